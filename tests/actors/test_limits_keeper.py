"""What the exchange forbids is kept over a restart and known to the governor, whoever asked."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import msgspec
import pytest

from livespot.actors.limits_keeper import KeptSilence, LimitsKeeper
from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import KeyRefused, Throttled
from livespot.contracts.ports import Alarm
from livespot.contracts.system import HealthSignal
from livespot.contracts.venue import BanState
from livespot.contracts.vocabulary import EventType, SignalKind, SignalLevel
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.server_clock import FixedOffset
from livespot.venue.key_state import KeyState
from livespot.venue.weights import Priority, WeightBudget

_NOW_MS = 1_700_000_040_000
_OFFSET_MS = 7_000
_SOURCES = {"ban", "throttle", "order count", "request weight", "api key"}


class _SlowAudit(RecordingAudit):
    """Something happens while the first entry is on its way to the disk."""

    while_writing: Callable[[], None] | None = None

    async def commit(self, *entries: AuditEntry) -> None:
        meanwhile, self.while_writing = self.while_writing, None
        if meanwhile is not None:
            meanwhile()
        await super().commit(*entries)


class _NoTurns(ManualClock):
    """Nobody's turn comes by time alone: whoever waits hears only what is told."""

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        return super().alarm(3600 + seconds, ring)


@dataclass
class _Bench:
    clock: ManualClock
    audit: _SlowAudit
    budget: WeightBudget
    key: KeyState
    governor: Mailbox[GovernorInbox]

    async def heard(self, source: str) -> HealthSignal:
        """The next thing said by this source."""
        with anyio.fail_after(5):
            while True:
                message = await self.governor.receive()
                assert isinstance(message, HealthSignal)
                if message.source == source:
                    return message

    def kept(self) -> list[KeptSilence]:
        entries = self.audit.of(EventType.RATE_LIMIT)
        return [msgspec.convert(entry.draft.data, KeptSilence) for entry in entries]


@asynccontextmanager
async def _watched(clocks: type[ManualClock] = ManualClock) -> AsyncIterator[_Bench]:
    """A keeper at work that has said its first word of everything."""
    clock, audit = clocks(now_ms=_NOW_MS - _OFFSET_MS), _SlowAudit()
    server = FixedOffset(clock, _OFFSET_MS)
    bench = _Bench(
        clock=clock,
        audit=audit,
        budget=WeightBudget(server.steady_now_ms),
        key=KeyState(clock),
        governor=Mailbox("governor", 64, clock),
    )
    keeper = LimitsKeeper(
        clock=clock,
        server_clock=server,
        audit=audit,
        governor=bench.governor,
        budget=bench.budget,
        key=bench.key,
        beat=lambda: None,
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(keeper.run)
        first: dict[str, SignalLevel] = {}
        while set(first) != _SOURCES:
            said = await bench.governor.receive()
            assert isinstance(said, HealthSignal)
            first[said.source] = said.level
        assert set(first.values()) == {SignalLevel.CLEAR}
        yield bench
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("refusal", "source", "level", "reason"),
    [
        (
            Throttled(retry_after_ms=120_000, banned=True),
            "ban",
            SignalLevel.PAUSE,
            ReasonCode.RATE_LIMIT_418,
        ),
        (
            Throttled(retry_after_ms=120_000, banned=False),
            "throttle",
            SignalLevel.DEGRADE,
            ReasonCode.RATE_LIMIT_429,
        ),
        (
            Throttled(retry_after_ms=120_000, banned=False, orders_only=True),
            "order count",
            SignalLevel.DEGRADE,
            ReasonCode.RISK_UNFILLED_ORDER_COUNT_RISK,
        ),
    ],
)
async def test_a_silence_met_by_any_request_is_told_until_its_time_is_over(
    refusal: Throttled, source: str, level: SignalLevel, reason: ReasonCode
) -> None:
    async with _watched() as bench:
        bench.budget.silence(refusal)
        begun = await bench.heard(source)
        bench.clock.advance(refusal.retry_after_ms)
        over = await bench.heard(source)

    assert begun.kind is SignalKind.RATE_LIMIT
    assert (begun.level, begun.reason, begun.value) == (level, reason, refusal.retry_after_ms)
    assert over.level is SignalLevel.CLEAR


async def test_a_silence_is_written_down_before_it_is_told_in_the_exchanges_time() -> None:
    async with _watched() as bench:
        bench.budget.silence(Throttled(retry_after_ms=120_000, banned=True))
        await bench.heard("ban")
        kept = bench.kept()

    bans = BanState(banned_until_ms=_NOW_MS + 120_000)
    assert kept == [KeptSilence(bans=bans, offset_ms=_OFFSET_MS)]


async def test_a_ban_that_begins_while_another_silence_is_written_is_told_at_once() -> None:
    async with _watched(_NoTurns) as bench:
        bench.audit.while_writing = lambda: bench.budget.silence(
            Throttled(retry_after_ms=120_000, banned=True)
        )
        # Over as soon as it began, so that writing it down is all there is to do.
        bench.budget.silence(Throttled(retry_after_ms=0, banned=False))
        begun = await bench.heard("ban")

    assert begun.level is SignalLevel.PAUSE


async def test_a_quiet_run_writes_nothing_about_limits() -> None:
    async with _watched() as bench:
        pass

    assert bench.kept() == []


async def test_from_80_percent_of_the_weight_on_no_new_risk_is_taken_until_the_minute_turns() -> (
    None
):
    async with _watched() as bench:
        bench.budget.observe({"x-mbx-used-weight-1m": "4800"}, _NOW_MS // 60_000)
        busy = await bench.heard("request weight")
        bench.clock.advance(60_000)
        calm = await bench.heard("request weight")

    assert (busy.level, busy.value, busy.threshold) == (SignalLevel.DEGRADE, 80, 80)
    assert calm.level is SignalLevel.CLEAR


async def test_just_below_80_percent_nobody_is_alarmed() -> None:
    async with _watched() as bench:
        bench.budget.observe({"x-mbx-used-weight-1m": "4799"}, _NOW_MS // 60_000)
        bench.budget.silence(Throttled(retry_after_ms=1000, banned=False))
        await bench.heard("throttle")
        rest = [bench.governor.receive_nowait() for _ in range(3)]

    assert rest == [None, None, None]


async def test_a_rejected_key_holds_pause_until_a_signed_request_is_taken_again() -> None:
    async with _watched() as bench:
        bench.key.note(KeyRefused(-2015, "Invalid API-key"), mutation=True)
        rejected = await bench.heard("api key")
        bench.key.note(None, mutation=False)
        taken = await bench.heard("api key")

    assert (rejected.kind, rejected.level) == (SignalKind.KEY, SignalLevel.PAUSE)
    assert "stops that stand at the exchange" in rejected.detail
    assert taken.level is SignalLevel.CLEAR


def test_a_restored_ban_lets_nothing_through_not_even_a_new_connection() -> None:
    clock = ManualClock(now_ms=_NOW_MS)
    budget = WeightBudget(clock.now_ms)
    budget.restore(BanState(banned_until_ms=_NOW_MS + 1))

    for priority in Priority:
        with pytest.raises(Throttled, match="418"):
            budget.spend(1, priority)
    with pytest.raises(Throttled, match="418"):
        budget.require_unbanned()
    clock.advance(1)
    budget.require_unbanned()
