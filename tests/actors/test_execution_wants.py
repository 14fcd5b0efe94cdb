"""What the position wants done: protections, closes and cancels, each told how it ended."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio
import msgspec
import pytest

from livespot.actors.execution_work import Attempts
from livespot.actors.mail import (
    CancelWanted,
    CloseWanted,
    MutationSettled,
    OrderProgressed,
    ProtectWanted,
    RejectSeen,
)
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import FilterRefused, KeyRefused, NoSuchOrder, Refused, Throttled
from livespot.contracts.orders import CancelRequest, ListRequest, OrderRequest, OrderView
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import (
    IntentRole,
    OrderStatus,
    Severity,
    Side,
    SignalKind,
    SignalLevel,
    SysMode,
)
from livespot.testing.execution_bench import SYMBOL, Bench, StepClock, a_decision, bench
from livespot.testing.ledger_rows import fresh, order
from livespot.testing.scripted_venue import (
    ACCEPT,
    DROP_ANSWER,
    DROP_REQUEST,
    ScriptedVenue,
    refused,
)

ENTRY = "oi_entry"


@dataclass(slots=True)
class CountingVenue(ScriptedVenue):
    """Counts the reads of single orders."""

    asked: int = 0

    async def order(
        self, symbol: str, *, client_order_id: str = "", order_id: int = 0
    ) -> OrderView:
        self.asked += 1
        return await ScriptedVenue.order(
            self, symbol, client_order_id=client_order_id, order_id=order_id
        )


def protect(role: IntentRole = IntentRole.LIST, qty: str = "0.999") -> ProtectWanted:
    return ProtectWanted(
        position_id="pos_1",
        decision_id="dec_1",
        entry_intent_id=ENTRY,
        symbol=SYMBOL,
        role=role,
        qty=Decimal(qty),
        tp_price=Decimal("102.00"),
        sl_price=Decimal("98.00"),
        stop_limit_price=None,
    )


def close(limit: str | None = None) -> CloseWanted:
    return CloseWanted(
        position_id="pos_1",
        decision_id="dec_1",
        entry_intent_id=ENTRY,
        symbol=SYMBOL,
        qty=Decimal("0.999"),
        limit_price=None if limit is None else Decimal(limit),
    )


def outcomes(b: Bench) -> list[str]:
    return [settled.outcome for settled in b.heard(b.actor.position, MutationSettled)]


async def test_an_oco_goes_out_in_any_mode_but_exit(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.gate.set(SysMode.PAUSE)

        await b.tell(protect())

        (settled,) = b.heard(b.actor.position, MutationSettled)
        assert settled.outcome == "ACCEPTED"
        assert settled.list_id == 900
        assert {order.side for order in settled.orders} == {Side.SELL}
        assert b.states_at_send == ["SENT_UNKNOWN"]


async def test_protection_is_still_installed_while_the_process_leaves(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.gate.set(SysMode.EXIT)

        await b.tell(protect())

        assert outcomes(b) == ["ACCEPTED"]


async def test_once_wound_down_nothing_leaves(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.gate.set(SysMode.EXIT)
        b.gate.seal()

        await b.tell(protect())

        assert b.venue.sent == []
        assert outcomes(b) == ["NOT_SENT"]
        assert b.states("LIST") == ["FAILED_TERMINAL"]


async def test_attempts_count_up_from_the_ledger_across_lives(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with bench(path) as b:
        b.venue.script = [refused(-2010, "no"), refused(-2010, "no")]
        await b.tell(protect())
        await b.tell(protect())
    async with bench(path) as b:
        await b.tell(protect())

        sql = "SELECT attempt FROM order_intents ORDER BY rowid"
        assert b.rows(sql) == [(1,), (2,), (3,)]


async def test_a_refusal_is_passed_on_with_its_words(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [refused(-2010, "Order would trigger immediately.")]

        await b.tell(protect(IntentRole.STOP))

        (settled,) = b.heard(b.actor.position, MutationSettled)
        assert (settled.outcome, settled.code) == ("REFUSED", -2010)
        assert "trigger" in settled.message


async def test_an_unseen_protection_reports_every_round_then_pauses(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_REQUEST]
        await b.tell(protect())
        assert outcomes(b) == ["UNKNOWN"]

        await b.advance(6000)

        assert set(outcomes(b)) == {"UNKNOWN"}
        signals = b.heard(b.actor.governor, HealthSignal)
        assert (SignalKind.INTENT, SignalLevel.PAUSE) in [(s.kind, s.level) for s in signals]
        alerts = b.heard(b.actor.governor, Alert)
        assert Severity.CRIT in [alert.severity for alert in alerts]
        assert len(b.venue.sent) == 1


async def test_a_protection_whose_answer_was_lost_is_found_by_its_list_id(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_ANSWER]

        await b.tell(protect())
        await b.advance(200)

        assert outcomes(b) == ["UNKNOWN", "ACCEPTED"]
        assert b.states("LIST") == ["CONFIRMED"]


async def test_a_want_under_an_id_of_before_is_told_as_never_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first(*_: object) -> int:
        return 1

    monkeypatch.setattr(Attempts, "next", first)
    async with bench(fresh(tmp_path)) as b:
        await b.tell(protect())
        await b.tell(protect())

        told = [m.outcome for m in b.heard(b.actor.position, MutationSettled)]
        alerts = [a.code for a in b.heard(b.actor.governor, Alert)]

        assert told == ["ACCEPTED", "NOT_SENT"]
        assert alerts == [ReasonCode.CLIENT_ORDER_ID_REUSE_BLOCK]
        assert len(b.venue.sent) == 1


async def test_the_next_rung_may_follow_an_unknown_protection(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_REQUEST]
        await b.tell(protect())

        await b.tell(protect(IntentRole.STOP))

        assert outcomes(b)[-1] == "ACCEPTED"


@pytest.mark.parametrize(
    ("knows_the_legs", "later_ms", "told"),
    [
        pytest.param(False, 0, "OVERTAKEN", id="asked for before the news"),
        pytest.param(True, 0, "ACCEPTED", id="asked for beside what is known"),
        pytest.param(False, 1100, "ACCEPTED", id="asked for although the news is old"),
    ],
)
async def test_a_rung_whose_asker_had_not_heard_that_the_last_one_stands_is_given_back(
    tmp_path: Path, knows_the_legs: bool, later_ms: int, told: str
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(protect())
        await b.advance(later_ms)
        legs = tuple(b.venue.orders_by_id) if knows_the_legs else ()

        await b.tell(msgspec.structs.replace(protect(IntentRole.STOP), known_orders=legs))

        assert outcomes(b) == ["ACCEPTED", told]
        assert len(b.venue.sent) == (2 if told == "ACCEPTED" else 1)


async def test_two_sells_of_one_symbol_never_travel_together(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.holding = anyio.Event()
        await b.tell(protect())

        await b.tell(close())
        assert outcomes(b) == ["NOT_SENT"]
        b.venue.holding.set()
        await b.settle()

        assert len(b.venue.sent) == 1


async def test_a_close_is_sent_as_asked(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(close("99.00"))
        await b.tell(close())

        limit, market = b.venue.sent
        assert isinstance(limit, OrderRequest)
        assert isinstance(market, OrderRequest)
        assert (limit.price, market.price) == (Decimal("99.00"), None)
        assert outcomes(b) == ["ACCEPTED", "ACCEPTED"]


async def test_a_size_our_quantizer_refuses_never_leaves(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(protect(qty="0.010"))

        (settled,) = b.heard(b.actor.position, MutationSettled)
        assert settled.outcome == "REFUSED"
        assert settled.message.startswith("Filter failure")
        assert b.venue.sent == []


async def test_a_lost_cancel_is_repeated_until_the_order_shows_its_end(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(protect())
        stop = next(o for o in b.venue.of_side(Side.SELL) if o.stop_price)
        (intent_id,) = b.rows("SELECT order_intent_id FROM order_intents")[0]
        b.heard(b.actor.position, MutationSettled)
        b.venue.script = [DROP_REQUEST, DROP_ANSWER]
        await b.tell(
            CancelWanted(
                position_id="pos_1",
                decision_id="dec_1",
                symbol=SYMBOL,
                order_intent_id=intent_id,
                order_id=stop.order_id,
                purpose="test",
            )
        )
        await b.advance(2500)

        cancels = [r for r in b.venue.sent if isinstance(r, CancelRequest)]
        assert [c.order_id for c in cancels] == [stop.order_id] * 2
        assert b.states("CANCEL") == ["FAILED_TERMINAL", "CONFIRMED"]
        assert outcomes(b)[-1] in ("ACCEPTED", "REFUSED")


async def test_a_denied_cancel_is_not_repeated_in_the_same_words_but_the_order_asked_for(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(protect())
        stop = next(o for o in b.venue.of_side(Side.SELL) if o.stop_price)
        (intent_id,) = b.rows("SELECT order_intent_id FROM order_intents")[0]
        wanted = CancelWanted(
            position_id="pos_1",
            decision_id="dec_1",
            symbol=SYMBOL,
            order_intent_id=intent_id,
            order_id=stop.order_id,
            purpose="test",
        )
        b.venue.script = [NoSuchOrder(-2011, "Unknown order sent.") for _ in range(9)]
        for _ in range(30):
            await b.tell(wanted)
            b.clock.step(2_000)
        cancels = sum(isinstance(request, CancelRequest) for request in b.venue.sent)
        told = outcomes(b)[1:]
        b.venue.change(stop.order_id, status=OrderStatus.EXPIRED)
        await b.advance(16_000)
        ends = [news.order.status for news in b.heard(b.actor.position, OrderProgressed)]

        assert cancels == 3
        assert told == ["REFUSED"] * 30
        assert OrderStatus.EXPIRED in ends


@pytest.mark.parametrize("ending", [ACCEPT, DROP_ANSWER, refused(-2011, "Unknown order sent.")])
async def test_an_answer_after_five_lost_cancels_withdraws_the_complaint(
    tmp_path: Path, ending: str | Exception
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(protect())
        stop = next(o for o in b.venue.of_side(Side.SELL) if o.stop_price)
        (intent_id,) = b.rows("SELECT order_intent_id FROM order_intents")[0]
        b.venue.script = [*[DROP_REQUEST] * 5, ending]
        await b.tell(
            CancelWanted(
                position_id="pos_1",
                decision_id="dec_1",
                symbol=SYMBOL,
                order_intent_id=intent_id,
                order_id=stop.order_id,
                purpose="test",
            )
        )
        await b.advance(16_000)

        mine = [
            s.level
            for s in b.heard(b.actor.governor, HealthSignal)
            if s.source == f"cancel:{intent_id}"
        ]
        assert mine == [SignalLevel.DEGRADE, SignalLevel.CLEAR]


async def test_a_new_life_withdraws_what_the_last_one_asked_for_by_time(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with bench(path) as b:
        b.venue.script = [Throttled(retry_after_ms=60_000, banned=True)]
        await b.tell(protect())
        signals = b.heard(b.actor.governor, HealthSignal)
        assert [s.level for s in signals if s.kind is SignalKind.RATE_LIMIT] == ["PAUSE"]

    async with bench(path) as b:
        await b.recover()

        signals = b.heard(b.actor.governor, HealthSignal)
        kinds = {(s.kind, s.source) for s in signals if s.level is SignalLevel.CLEAR}
        assert {
            (SignalKind.RATE_LIMIT, "mutations"),
            (SignalKind.CLOCK, "execution"),
        } <= kinds


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (Refused(-2010, "Account has insufficient balance."), []),
        (FilterRefused(-1013, "Filter failure: LOT_SIZE", filter_name="LOT_SIZE"), ["LOT_SIZE"]),
    ],
)
async def test_a_refused_protection_speaks_against_its_symbol_only_where_a_filter_is_named(
    tmp_path: Path, error: Refused, named: list[str]
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [error]
        await b.tell(protect())

        assert [seen.filter_name for seen in b.heard(b.actor.risk, RejectSeen)] == named


async def test_a_rejected_key_is_cried_out(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [KeyRefused(-2015, "Invalid API-key")]

        await b.approve(a_decision())

        alerts = b.heard(b.actor.governor, Alert)
        assert [a.severity for a in alerts if a.code is ReasonCode.API_KEY_REJECTED] == ["CRIT"]


async def test_a_filter_rejection_asks_for_fresh_filters(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [FilterRefused(-1013, "Filter failure: LOT_SIZE", filter_name="LOT_SIZE")]

        await b.approve(a_decision())

        assert b.actor.scanner.receive_nowait() is not None


async def test_a_protection_that_rises_from_its_proven_absence_is_an_incident(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.blind = True
        b.venue.script = [DROP_ANSWER]
        await b.tell(protect())
        b.clock.step(100_000)
        b.venue.traded_until_ms = b.clock.now_ms() - 60_000
        await b.advance(15_000)
        assert b.states("LIST") == ["NOT_FOUND"]
        b.heard(b.actor.governor, HealthSignal)

        b.venue.change(100, status=OrderStatus.NEW)
        await b.stream(100)

        assert b.states("LIST") == ["CONFIRMED"]
        signals = b.heard(b.actor.governor, HealthSignal)
        assert SignalLevel.PAUSE in [s.level for s in signals]
        assert len([r for r in b.venue.sent if isinstance(r, ListRequest)]) == 1


async def test_a_list_that_is_over_has_its_legs_asked_for_when_their_end_is_not_told(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(protect())
        (order_list,) = b.venue.lists_by_id.values()
        for order_id, _ in order_list.legs:
            b.venue.change(order_id, status=OrderStatus.CANCELED)
        b.heard(b.actor.position, OrderProgressed)

        await b.tell(msgspec.structs.replace(order_list, list_order_status="ALL_DONE"))
        await b.advance(800)
        early = b.heard(b.actor.position, OrderProgressed)
        await b.advance(600)

        told = b.heard(b.actor.position, OrderProgressed)
        assert early == []
        assert [t.order.status for t in told] == [OrderStatus.CANCELED, OrderStatus.CANCELED]


async def test_legs_whose_end_was_told_are_not_asked_for(tmp_path: Path) -> None:
    clock = StepClock()
    venue = CountingVenue(clock)
    async with bench(fresh(tmp_path), venue=venue, clock=clock) as b:
        await b.tell(protect())
        (order_list,) = b.venue.lists_by_id.values()
        await b.tell(msgspec.structs.replace(order_list, list_order_status="ALL_DONE"))
        for order_id, _ in order_list.legs:
            b.venue.change(order_id, status=OrderStatus.CANCELED)
            await b.stream(order_id)

        await b.advance(3000)

        assert venue.asked == 0


async def test_a_throttled_mutation_degrades_until_the_silence_is_over(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [Throttled(retry_after_ms=2000, banned=False)]
        await b.tell(protect())
        await b.advance(1000)
        signals = b.heard(b.actor.governor, HealthSignal)
        assert [s.level for s in signals if s.kind is SignalKind.RATE_LIMIT] == ["DEGRADE"]

        await b.advance(1500)

        signals = b.heard(b.actor.governor, HealthSignal)
        assert [s.level for s in signals if s.kind is SignalKind.RATE_LIMIT] == ["CLEAR"]
        assert outcomes(b) == ["REFUSED"]
        assert len(b.venue.sent) == 1


async def test_rounds_that_could_not_read_are_not_told_as_negative(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.down = True
        b.venue.script = [DROP_REQUEST]
        await b.tell(protect())

        await b.advance(4000)

        assert outcomes(b) == ["UNKNOWN"]


async def test_no_read_ever_answered_proves_no_absence(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.down = True
        b.venue.script = [DROP_REQUEST]
        await b.tell(protect())
        b.clock.step(600_000)
        b.venue.traded_until_ms = b.clock.now_ms() - 60_000

        await b.advance(10_000)

        assert b.states("LIST") == ["SENT_UNKNOWN"]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param(OrderStatus.FILLED, "NOT_FOUND", id="filled under its own id"),
        pytest.param(OrderStatus.CANCELED, "SENT_UNKNOWN", id="cancelled: its id may be new"),
        pytest.param(OrderStatus.UNKNOWN, "SENT_UNKNOWN", id="in a state nobody knows"),
    ],
)
async def test_only_an_order_whose_id_a_cancel_may_have_taken_can_be_the_lost_one(
    tmp_path: Path, status: OrderStatus, state: str
) -> None:
    """A stranger's sale of the same size, made after ours was sent."""
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_REQUEST]
        await b.tell(protect())
        view = msgspec.structs.replace(
            order(status).order,
            symbol=SYMBOL,
            side=Side.SELL,
            order_id=55,
            client_order_id="web_1",
            orig_qty=Decimal("0.999"),
        )
        b.venue.orders_by_id[55] = view
        b.clock.step(100_000)
        b.venue.traded_until_ms = b.clock.now_ms() - 60_000

        await b.advance(15_000)

        assert b.states("LIST") == [state]
