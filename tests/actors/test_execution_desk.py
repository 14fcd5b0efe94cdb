"""The one way out: what is on disk when a byte leaves, and what an answer is taken for."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from livespot.actors.mail import EntryEnded
from livespot.actors.mutation_desk import Ending, MutationDesk
from livespot.contracts.audit import AuditEntry
from livespot.contracts.errors import (
    AuditUnwritable,
    ClockRefused,
    LivespotError,
    NoSuchOrder,
    NotSent,
    OutcomeUnknown,
    PayloadInvalid,
    Refused,
    Throttled,
    Unreachable,
)
from livespot.contracts.orders import CancelRequest, OrderIntent, OrderRequest
from livespot.contracts.settings import ExitSettings, Settings, TimingSettings
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import IntentState, SignalKind, SignalLevel, SysMode
from livespot.rules.exit_requests import SellDraft, close_mutation
from livespot.testing.audit import RecordingAudit
from livespot.testing.execution_bench import SYMBOL, Bench, a_decision, bench
from livespot.testing.ledger_rows import NOW_MS, fresh
from livespot.testing.scripted_venue import DROP_ANSWER, DROP_REQUEST
from livespot.testing.server_clock import FixedOffset

CLOSE = close_mutation(
    SellDraft(
        decision_id="dec_1",
        parent_intent_id="oi_entry",
        symbol=SYMBOL,
        qty=Decimal(1),
        attempt=1,
        recv_window_ms=5000,
        now_ms=NOW_MS,
    ),
    limit_price=None,
)


class FailsAt(RecordingAudit):
    """The disk fails at the n-th commit; `then` runs after each one that succeeded."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    async def commit(self, *entries: AuditEntry) -> None:
        self.broken = len(self.entries) + 1 >= self.number
        await super().commit(*entries)


class ClosesAfter(RecordingAudit):
    """The process has left while the n-th commit is on its way to the disk."""

    def __init__(self, b: Bench, number: int) -> None:
        super().__init__()
        self.b = b
        self.number = number

    async def commit(self, *entries: AuditEntry) -> None:
        await super().commit(*entries)
        if len(self.entries) >= self.number:
            self.b.gate.seal()


class Slow(RecordingAudit):
    """Every commit takes this long on the market's clock."""

    def __init__(self, b: Bench, ms: int) -> None:
        super().__init__()
        self.b = b
        self.ms = ms

    async def commit(self, *entries: AuditEntry) -> None:
        self.b.clock.step(self.ms)
        await super().commit(*entries)


def nothing() -> None:
    """Nobody wants to know."""


@pytest.mark.parametrize("number", [1, 2])
async def test_what_cannot_be_written_is_not_sent(tmp_path: Path, number: int) -> None:
    async with bench(fresh(tmp_path)) as b:
        desk = MutationDesk(replace(b.actor, audit=FailsAt(number)), {})

        with pytest.raises(AuditUnwritable):
            await desk.send(CLOSE, created=nothing)

        assert b.venue.sent == []


@pytest.mark.parametrize(
    ("number", "ending", "state"),
    [
        pytest.param(1, Ending.BLOCKED, IntentState.FAILED_TERMINAL, id="before-sent-unknown"),
        pytest.param(2, Ending.NOT_SENT, IntentState.SENT_UNKNOWN, id="after-sent-unknown"),
    ],
)
async def test_a_gate_closed_while_the_disk_worked_stops_the_byte(
    tmp_path: Path, number: int, ending: Ending, state: IntentState
) -> None:
    async with bench(fresh(tmp_path)) as b:
        intents: dict[str, OrderIntent] = {}
        desk = MutationDesk(replace(b.actor, audit=ClosesAfter(b, number)), intents)

        outcome = await desk.send(CLOSE, created=nothing)

        assert outcome.ending is ending
        assert intents[CLOSE.intent.order_intent_id].state is state
        assert b.venue.sent == []


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        pytest.param(OutcomeUnknown("X", "lost"), Ending.UNKNOWN, id="lost"),
        pytest.param(Unreachable("reset"), Ending.UNKNOWN, id="reset"),
        pytest.param(PayloadInvalid("html"), Ending.UNKNOWN, id="unreadable"),
        pytest.param(Refused(-2010, "no", http_status=503), Ending.UNKNOWN, id="5xx"),
        pytest.param(Refused(-1007, "timeout"), Ending.UNKNOWN, id="engine-timeout"),
        pytest.param(Refused(-2010, "no"), Ending.REFUSED, id="refused"),
        pytest.param(NoSuchOrder(-2011, "gone"), Ending.REFUSED, id="no-such-order"),
        pytest.param(NotSent("connect"), Ending.NOT_SENT, id="not-sent"),
        pytest.param(Throttled(retry_after_ms=1000, banned=False), Ending.REFUSED, id="throttled"),
    ],
)
async def test_only_a_definite_no_is_taken_for_a_no(
    tmp_path: Path, error: LivespotError, ending: Ending
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [error]
        desk = MutationDesk(replace(b.actor, audit=RecordingAudit()), {})

        outcome = await desk.send(CLOSE, created=nothing)

        assert outcome.ending is ending
        assert len(b.venue.sent) == 1


async def test_a_silent_transport_ends_as_unknown(tmp_path: Path) -> None:
    timing = TimingSettings(mutation_timeout_ms=50)
    async with bench(fresh(tmp_path), settings=Settings(timing=timing)) as b:
        b.venue.holding = anyio.Event()
        desk = MutationDesk(replace(b.actor, audit=RecordingAudit()), {})

        outcome = await desk.send(CLOSE, created=nothing)

        assert outcome.ending is Ending.UNKNOWN


async def test_an_entry_lives_no_longer_than_four_slow_round_trips(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        desk = MutationDesk(replace(b.actor, audit=RecordingAudit()), {})
        assert desk.entry_recv_window_ms() == 5000

        await desk.send(CLOSE, created=nothing)

        assert desk.entry_recv_window_ms() == 1500


async def test_a_late_entry_is_refused_without_a_clock_alarm(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [ClockRefused(-1021, "outside of the recvWindow", ahead=False)]

        await b.approve(a_decision())

        assert b.states("ENTRY") == ["FAILED_TERMINAL"]
        assert len(b.venue.sent) == 1
        signals = b.heard(b.actor.governor, HealthSignal)
        assert SignalKind.CLOCK not in [s.kind for s in signals]


async def test_a_clock_that_moved_degrades_until_it_is_measured_stable(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [ClockRefused(-1021, "ahead of the server's time", ahead=True)]
        server_clock = b.actor.server_clock
        assert isinstance(server_clock, FixedOffset)
        server_clock.moves = [5001, 700]

        await b.approve(a_decision())
        await b.advance(1_000)
        raised = [s for s in b.heard(b.actor.governor, HealthSignal) if s.kind is SignalKind.CLOCK]
        await b.advance(30_000)
        again = [s for s in b.heard(b.actor.governor, HealthSignal) if s.kind is SignalKind.CLOCK]
        await b.advance(30_000)
        ended = [s for s in b.heard(b.actor.governor, HealthSignal) if s.kind is SignalKind.CLOCK]

        # Nothing was sent meanwhile: it is the measurement that ends the complaint.
        assert [s.level for s in raised] == [SignalLevel.DEGRADE]
        assert [s.level for s in again] == [SignalLevel.DEGRADE]
        assert [s.level for s in ended] == [SignalLevel.CLEAR]
        assert len(b.venue.sent) == 1


class Unmeasurable(FixedOffset):
    """Nobody answers the first question for the time."""

    asked = 0

    async def resync(self) -> int:
        self.asked += 1
        if self.asked == 1:
            raise Unreachable("scripted")
        return await super().resync()


async def test_a_time_that_was_refused_and_cannot_be_measured_is_in_doubt_until_it_is(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        object.__setattr__(b.actor, "server_clock", Unmeasurable(b.clock))
        b.venue.script = [ClockRefused(-1021, "ahead of the server's time", ahead=True)]

        await b.approve(a_decision())
        await b.advance(1_000)
        raised = [s for s in b.heard(b.actor.governor, HealthSignal) if s.kind is SignalKind.CLOCK]
        await b.advance(5_000)
        ended = [s for s in b.heard(b.actor.governor, HealthSignal) if s.kind is SignalKind.CLOCK]

        assert [s.level for s in raised] == [SignalLevel.DEGRADE]
        assert [s.level for s in ended] == [SignalLevel.CLEAR]


async def test_separate_protection_means_a_plain_entry(tmp_path: Path) -> None:
    settings = Settings(exit=ExitSettings(attach="SEPARATE"))
    async with bench(fresh(tmp_path), settings=settings) as b:
        await b.approve(a_decision(settings))
        b.venue.fill(100, str(b.venue.orders_by_id[100].orig_qty))
        await b.stream(100)

        assert isinstance(b.venue.sent[0], OrderRequest)
        (ended,) = b.heard(b.actor.position, EntryEnded)
        assert ended.attached_list_id == -1


async def test_an_entry_known_by_its_list_alone_is_still_watched(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_ANSWER]
        b.venue.lagging = frozenset({"open_orders", "order"})
        await b.approve(a_decision())
        await b.advance(500)
        assert b.states("ENTRY") == ["CONFIRMED"]

        b.gate.set(SysMode.DEGRADE)
        await b.advance(1000)

        assert b.venue.working_buys() == []


async def test_an_unseen_entry_is_cancelled_by_its_own_name(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_ANSWER]
        b.venue.blind = True
        await b.approve(a_decision())
        await b.advance(500)

        (cancel,) = [r for r in b.venue.sent if isinstance(r, CancelRequest)]
        assert cancel.order_id is None
        assert cancel.orig_client_order_id == b.venue.orders_by_id[100].orig_client_order_id
        assert b.states("ENTRY") == ["CONFIRMED"]
        assert len(b.heard(b.actor.risk, EntryEnded)) == 1


async def test_cancels_aimed_at_what_never_existed_settle_with_it(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_REQUEST, DROP_REQUEST]
        await b.approve(a_decision())
        await b.advance(3000)
        b.clock.step(100_000)
        b.venue.traded_until_ms = b.clock.now_ms() - 60_000
        await b.advance(20_000)

        assert b.states("ENTRY") == ["NOT_FOUND"]
        assert b.states("CANCEL") == ["FAILED_TERMINAL"]


@pytest.mark.parametrize(("commit_ms", "sent"), [(7000, 1), (8000, 0), (9000, 0)])
async def test_nothing_is_signed_later_than_its_row_promises(
    tmp_path: Path, commit_ms: int, sent: int
) -> None:
    async with bench(fresh(tmp_path)) as b:
        intents: dict[str, OrderIntent] = {}
        desk = MutationDesk(replace(b.actor, audit=Slow(b, commit_ms)), intents)

        outcome = await desk.send(CLOSE, created=nothing)

        assert len(b.venue.sent) == sent
        assert outcome.ending is (Ending.ACCEPTED if sent else Ending.NOT_SENT)
        (intent,) = intents.values()
        assert intent.state is IntentState.SENT_UNKNOWN
