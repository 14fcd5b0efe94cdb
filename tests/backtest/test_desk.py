"""What becomes of an approved entry on the exchange's engine, and what risk remembers of it."""

from decimal import Decimal

import msgspec
import pytest

from livespot.backtest.command import built
from livespot.backtest.desk import NOT_FILLED, NOT_RESTING, Desk, Trade
from livespot.backtest.minutes import MinuteFeed
from livespot.backtest.play import GATE_OFF, Backtest
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import EntryKind, Mode, Verdict
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.market import Print, Quote
from livespot.exchange.sources import StatusTurn
from livespot.rules.snapshot import build_snapshot
from livespot.rules.strategies import strategy_for
from livespot.runtime.replay_request import Wish, planned

_FIXED = msgspec.structs.replace(Settings().exit, trailing_policy="OFF")
_SETTINGS = msgspec.structs.replace(Settings(), exit=_FIXED)
_SYMBOL = "LTCUSDT"
# A minute of the record (2021-04-17T03:08 UTC) at whose end the default strategy wants to enter.
_OPEN_MS = 1_618_628_880_000
_NOW_MS = _OPEN_MS + MINUTE_MS


class _Silence:
    def write(self, kind: str, at_ms: int, **facts: object) -> None:
        """Nobody listens."""


class _Scene:
    """The symbol's window at that instant, an approved entry, and quotes and trades at will."""

    def __init__(self) -> None:
        wish = Wish(
            data="recorded",
            symbols=frozenset({_SYMBOL}),
            seed=3,
            from_ms=_OPEN_MS - 2 * MINUTE_MS,
            to_ms=_NOW_MS,
            span_ms=None,
            usual_ms=0,
            usual_span_ms=0,
        )
        self.test: Backtest = built(planned(wish), _SETTINGS, seed=3)(_Silence())
        for open_ms in range(_OPEN_MS - 2 * MINUTE_MS, _NOW_MS, MINUTE_MS):
            self.feed.play(open_ms)
        self.desk.mark(_NOW_MS)

    @property
    def desk(self) -> Desk:
        return self.test.desk

    @property
    def feed(self) -> MinuteFeed:
        return self.test.feeds[_SYMBOL]

    @property
    def trade(self) -> Trade:
        return self.desk.running[_SYMBOL]

    def proposal(self) -> tuple[Decision, Snapshot]:
        snapshot = build_snapshot(
            self.feed.window, self.test.context(_NOW_MS), out_of_order_drops=0
        )
        assert isinstance(snapshot, Snapshot)
        decision = strategy_for(_SETTINGS).propose(
            snapshot, _SETTINGS, mode=Mode.REPLAY, cycle_id="cyc_1", now_ms=_NOW_MS
        )
        assert isinstance(decision, Decision)
        return msgspec.structs.replace(decision, ai_gate=GATE_OFF), snapshot

    def enter(self) -> Decision:
        decision, snapshot = self.proposal()
        verdict = self.desk.weigh(decision, snapshot, _NOW_MS)
        assert verdict.verdict is Verdict.ALLOW
        approved = msgspec.structs.replace(decision, risk_verdict=verdict)
        assert self.desk.enter(approved, snapshot, _NOW_MS) == ""
        return approved

    def print(self, price: Decimal, qty: Decimal, after_ms: int) -> None:
        """One trade by a seller, in a deep book of one tick around it, in the next minute."""
        self.feed.events = (self.quote(price, after_ms), self.trade_at(price, qty, after_ms))
        self.desk.play(_NOW_MS)

    def quote(self, price: Decimal, after_ms: int, size: int = 10**9) -> Quote:
        ticks = int(price / self.feed.series.tick_size)
        return Quote(_NOW_MS + after_ms, ticks, ticks + 1, size, size)

    def trade_at(self, price: Decimal, qty: Decimal, after_ms: int) -> Print:
        ticks = int(price / self.feed.series.tick_size)
        steps = int(qty / self.feed.series.step_size)
        return Print(_NOW_MS + after_ms, ticks, steps, buyer_is_maker=True)


def _prices(decision: Decision) -> tuple[Decimal, Decimal, Decimal]:
    entry, leave = decision.entry_plan, decision.exit_plan
    assert entry is not None
    assert leave is not None
    return entry.limit_price, leave.tp_price, leave.sl_price


@pytest.mark.parametrize(("way", "expected"), [("tp", "TP"), ("sl", "SL")])
def test_a_filled_entry_ends_at_its_own_profit_or_stop(way: str, expected: str) -> None:
    scene = _Scene()
    decision = scene.enter()
    limit, profit, stop = _prices(decision)
    before = scene.desk.equity()

    scene.print(limit - Decimal("0.01"), Decimal(1000), 5_000)
    assert scene.desk.held == {_SYMBOL}
    verdict = decision.risk_verdict
    assert verdict is not None
    assert scene.trade.bought == verdict.approved_qty
    scene.print(profit + Decimal("0.01") if way == "tp" else stop, Decimal(1000), 40_000)

    [ended] = scene.desk.ended
    assert ended.ended_by == expected
    assert not scene.desk.running
    assert scene.desk.counters.of(_SYMBOL).held is None
    gained = ended.received - ended.paid
    assert (gained > 0) is (way == "tp")
    # Fees and a little dust stand between the prices and the account.
    assert abs(scene.desk.equity() - before - (gained - ended.fees_quote)) < Decimal("0.35")


def test_an_entry_nobody_meets_is_cancelled_at_the_end_of_its_time() -> None:
    scene = _Scene()
    decision = scene.enter()
    limit, _, _ = _prices(decision)

    scene.print(limit + Decimal(1), Decimal(10), 45_000)

    [ended] = scene.desk.ended
    assert ended.ended_by == NOT_FILLED
    assert not ended.bought
    assert ended.ended_ms == _NOW_MS + _SETTINGS.entry.maker_ttl_ms
    assert scene.desk.equity() == Decimal(10_000)
    again, snapshot = scene.proposal()
    assert scene.desk.weigh(again, snapshot, _NOW_MS).verdict is Verdict.ALLOW


def test_a_trade_after_its_time_fills_it_no_more() -> None:
    scene = _Scene()
    limit, _, _ = _prices(scene.enter())

    scene.print(limit - Decimal(1), Decimal(1000), _SETTINGS.entry.maker_ttl_ms)

    assert [trade.ended_by for trade in scene.desk.ended] == [NOT_FILLED]


def test_what_was_bought_in_part_is_sold_when_the_rest_is_cancelled() -> None:
    scene = _Scene()
    decision = scene.enter()
    limit, _, _ = _prices(decision)

    scene.feed.events = (
        scene.quote(limit, 5_000, size=1),
        scene.trade_at(limit, Decimal("0.2"), 5_000),
        scene.quote(limit, 6_000),
    )
    scene.desk.play(_NOW_MS)

    [ended] = scene.desk.ended
    assert Decimal("0.1") < ended.bought <= Decimal("0.2")
    assert ended.ended_by == "CLOSE"
    assert ended.ended_ms == _NOW_MS + _SETTINGS.entry.maker_ttl_ms
    assert not scene.desk.held
    assert scene.desk.counters.of(_SYMBOL).held is None


def test_an_entry_that_would_take_at_once_is_not_sent() -> None:
    scene = _Scene()
    decision, snapshot = scene.proposal()
    verdict = scene.desk.weigh(decision, snapshot, _NOW_MS)
    assert decision.entry_plan is not None
    taking = msgspec.structs.replace(decision.entry_plan, kind=EntryKind.TAKER)
    approved = msgspec.structs.replace(decision, entry_plan=taking, risk_verdict=verdict)

    assert scene.desk.enter(approved, snapshot, _NOW_MS) == NOT_RESTING
    assert not scene.desk.running


def test_risk_allows_no_second_entry_beside_the_first() -> None:
    scene = _Scene()
    scene.enter()
    again, snapshot = scene.proposal()

    verdict = scene.desk.weigh(again, snapshot, _NOW_MS)

    assert verdict.verdict is Verdict.BLOCK
    assert ReasonCode.RISK_ENTRY_ALREADY_PENDING in verdict.reasons


def test_what_a_halt_keeps_from_being_sold_is_sold_after_it() -> None:
    scene = _Scene()
    limit, _, _ = _prices(scene.enter())

    scene.feed.events = (
        scene.quote(limit, 5_000, size=1),
        scene.trade_at(limit, Decimal("0.2"), 5_000),
        StatusTurn(_NOW_MS + 10_000, "HALT"),
    )
    scene.desk.play(_NOW_MS)
    assert scene.desk.held == {_SYMBOL}
    assert scene.trade.refused
    scene.feed.events = (StatusTurn(_NOW_MS + 50_000, "TRADING"), scene.quote(limit, 50_500))
    scene.desk.play(_NOW_MS)

    [ended] = scene.desk.ended
    assert ended.ended_by == "CLOSE"
    assert ended.ended_ms == _NOW_MS + 50_500
