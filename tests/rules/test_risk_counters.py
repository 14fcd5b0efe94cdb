from decimal import Decimal
from typing import Any

import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import Fill
from livespot.contracts.settings import ChurnSettings, RiskSettings
from livespot.contracts.vocabulary import IntentAction, IntentRole, Side
from livespot.rules import risk_counters
from livespot.rules.pnl import booked_fee
from livespot.rules.risk_counters import DAY_MS, Counters
from livespot.testing.market_values import NOW_MS
from livespot.testing.risk_values import TODAY, a_trade

_RISK = RiskSettings()
_START = Counters(day=TODAY)
_SYMBOL = "SOLUSDT"


def _book(
    counters: Counters, fill: Fill, role: IntentRole = IntentRole.ENTRY, decision: str = "dec_1"
) -> Counters:
    quote = fill.commission * (fill.price if fill.commission_asset == "SOL" else 1)
    fee = booked_fee(fill, base_asset="SOL", fee_quote=quote, fee_unpriced=False)
    return risk_counters.filled(
        counters, fill, fee, decision_id=decision, role=role, settings=_RISK
    )


def _bought(**changes: Any) -> Counters:
    return _book(_START, a_trade(1, Side.BUY, "100", "2", **changes))


def test_an_entry_in_two_fills_is_one_trade() -> None:
    counters = _book(_bought(), a_trade(2, Side.BUY, "101", "1"))

    assert counters.trades_today == 1
    assert counters.of(_SYMBOL).trades_ms == (NOW_MS,)
    assert counters.lots[_SYMBOL].qty == Decimal("2.997")


def test_a_fill_seen_twice_counts_once() -> None:
    assert _book(_bought(), a_trade(1, Side.BUY, "100", "2")) == _bought()


@pytest.mark.parametrize(
    ("role", "price", "cools"),
    [
        (IntentRole.SL, "98", True),
        (IntentRole.STOP, "98", True),
        (IntentRole.CLOSE, "98", True),
        (IntentRole.CLOSE, "110", False),
        (IntentRole.TRAIL, "98", True),
        (IntentRole.TRAIL, "110", False),
        (IntentRole.TP, "110", False),
    ],
)
def test_a_stop_and_a_losing_close_start_the_cool_down(
    role: IntentRole, price: str, cools: bool
) -> None:
    counters = _book(_bought(), a_trade(2, Side.SELL, price, "1.998"), role)

    assert counters.of(_SYMBOL).cooldown_until_ms == (NOW_MS + 300_000 if cools else 0)


def test_the_positions_end_carries_the_whole_result_once() -> None:
    def ended(counters: Counters) -> Counters:
        return risk_counters.exited(
            counters, _SYMBOL, "dec_1", Decimal(-7), now_ms=NOW_MS, settings=_RISK
        )

    late = a_trade(2, Side.SELL, "98", "1.998")
    once = ended(_bought())

    assert once.realised_today == -7
    assert once.lots == {}
    assert ended(once) == once
    assert _book(once, late, IntentRole.SL).realised_today == -7
    after_the_fill = ended(_book(_bought(), late, IntentRole.SL))
    assert after_the_fill.realised_today == -7


def test_three_losses_in_a_row_block_for_one_window_and_a_win_breaks_the_row() -> None:
    def play(*results: int) -> Counters:
        counters = _START
        for number, result in enumerate(results):
            counters = risk_counters.exited(
                counters, _SYMBOL, f"d{number}", Decimal(result), now_ms=NOW_MS, settings=_RISK
            )
        return counters

    assert play(-1, -1).of(_SYMBOL).streak_until_ms == 0
    assert play(-1, -1, 5, -1, -1).of(_SYMBOL).streak_until_ms == 0
    blocked = play(-1, -1, -1).of(_SYMBOL)
    assert (blocked.streak_until_ms, blocked.losses_in_row) == (NOW_MS + 3_600_000, 0)


@pytest.mark.parametrize(("bid", "fired"), [("-499", False), ("-500", True), ("-501", True)])
def test_the_daily_loss_fires_at_its_limit_and_stays_for_the_day(bid: str, fired: bool) -> None:
    day = Counters(day=TODAY, realised_today=Decimal(bid), peak_equity=Decimal(bid))

    counters, codes = risk_counters.marked(day, {}, _RISK)

    assert (ReasonCode.RISK_DAILY_LOSS_LIMIT in codes) is fired
    again, repeated = risk_counters.marked(counters, {}, _RISK)
    assert repeated == ()
    assert again.fired == codes


def test_open_losses_count_towards_the_limits() -> None:
    held = _book(_START, a_trade(1, Side.BUY, "100", "10"))

    _, codes = risk_counters.marked(held, {_SYMBOL: Decimal("49.9")}, _RISK)

    assert set(codes) == {ReasonCode.RISK_DAILY_LOSS_LIMIT, ReasonCode.RISK_DRAWDOWN_LIMIT}


def test_the_peak_is_not_lifted_by_a_missing_bid() -> None:
    held = _book(_START, a_trade(1, Side.BUY, "100", "10"))
    low = risk_counters.day_rolled(held, {_SYMBOL: Decimal(80)}, NOW_MS + DAY_MS)

    blind, _ = risk_counters.marked(low, {}, _RISK)

    assert low.peak_equity == Decimal("-200.8")
    assert blind.peak_equity == low.peak_equity
    seen, _ = risk_counters.marked(low, {_SYMBOL: Decimal(90)}, _RISK)
    assert seen.peak_equity == Decimal("-100.9")


def test_a_new_utc_day_clears_the_day_and_keeps_what_is_held() -> None:
    worn = Counters(
        day=TODAY,
        trades_today=20,
        realised_today=Decimal(-600),
        peak_equity=Decimal(100),
        fired=(ReasonCode.RISK_DAILY_LOSS_LIMIT,),
        symbols=_bought().symbols,
    )
    midnight = (TODAY + 1) * DAY_MS

    assert risk_counters.day_rolled(worn, {}, midnight - 1) is worn
    fresh = risk_counters.day_rolled(worn, {}, midnight)
    assert (fresh.trades_today, fresh.realised_today, fresh.fired) == (0, Decimal(0), ())
    assert fresh.lots == worn.lots


@pytest.mark.parametrize(
    ("action", "limit", "code"),
    [
        (IntentAction.CANCEL_REPLACE, 3, ReasonCode.RISK_CANCEL_REPLACE_LIMIT_HIT),
        (IntentAction.CANCEL, 5, ReasonCode.RISK_CHURN_LIMIT_HIT),
        (IntentAction.SUBMIT, 5, ReasonCode.RISK_CHURN_LIMIT_HIT),
    ],
)
def test_churn_blocks_once_its_limit_is_reached(
    action: IntentAction, limit: int, code: ReasonCode
) -> None:
    def after(count: int, gap_ms: int) -> Counters:
        counters = _START
        for number in range(count):
            counters = risk_counters.mutated(
                counters, _SYMBOL, action, NOW_MS + number * gap_ms, ChurnSettings()
            )
        return counters

    assert after(limit - 1, 1).of(_SYMBOL).churn_until_ms == 0
    hit = after(limit, 1).of(_SYMBOL)
    assert hit.churn_until_ms == NOW_MS + limit - 1 + 60_000
    assert hit.churn_reasons == (code,)
    assert after(limit, 10_000).of(_SYMBOL).churn_until_ms == 0


def test_counters_survive_a_restart_byte_for_byte() -> None:
    counters = risk_counters.mutated(
        _book(_bought(), a_trade(2, Side.SELL, "98", "1"), IntentRole.SL),
        _SYMBOL,
        IntentAction.CANCEL,
        NOW_MS,
        ChurnSettings(),
    )

    text = risk_counters.to_json(counters)

    assert risk_counters.from_json(text) == counters
    assert risk_counters.to_json(risk_counters.from_json(text)) == text


_MIDNIGHT = (TODAY + 1) * DAY_MS


@pytest.mark.parametrize(("at_ms", "of_today"), [(_MIDNIGHT - 1, False), (_MIDNIGHT, True)])
def test_a_fill_told_after_midnight_belongs_to_the_day_it_was_executed_on(
    at_ms: int, of_today: bool
) -> None:
    held = _book(Counters(day=TODAY), a_trade(1, Side.BUY, "100", "1"))
    day = risk_counters.day_rolled(held, {}, _MIDNIGHT)
    late = a_trade(2, Side.SELL, "50", "0.999", exchange_time_ms=at_ms)

    sold = _book(day, late, IntentRole.SL)

    assert (sold.realised_today < 0) is of_today
    assert sold.day == TODAY + 1
    assert sold.lots[_SYMBOL].qty == 0


@pytest.mark.parametrize(("at_ms", "trades"), [(_MIDNIGHT - 1, 0), (_MIDNIGHT, 1)])
def test_a_trade_counts_on_the_day_the_exchange_executed_it(at_ms: int, trades: int) -> None:
    fill = a_trade(1, Side.BUY, "100", "1", exchange_time_ms=at_ms)

    assert _book(Counters(day=TODAY + 1), fill).trades_today == trades


def test_the_exchanges_midnight_may_come_first() -> None:
    worn = Counters(day=TODAY, trades_today=20, realised_today=Decimal(-499))

    first = _book(worn, a_trade(1, Side.BUY, "100", "1", exchange_time_ms=_MIDNIGHT))

    assert (first.day, first.trades_today) == (TODAY + 1, 1)
    assert first.realised_today == 0
    assert risk_counters.day_rolled(first, {}, _MIDNIGHT - 1) is first
    assert risk_counters.day_rolled(first, {}, _MIDNIGHT + 1) is first


def test_a_clock_set_back_over_midnight_resets_nothing() -> None:
    worn = Counters(day=TODAY + 1, trades_today=20, fired=(ReasonCode.RISK_DAILY_LOSS_LIMIT,))

    assert risk_counters.day_rolled(worn, {}, _MIDNIGHT - 1) is worn


@pytest.mark.parametrize(
    ("early_ms", "day"), [(3_600_000, TODAY + 1), (3_600_001, TODAY), (2 * DAY_MS, TODAY - 1)]
)
def test_a_day_begun_more_than_an_hour_early_is_taken_back_with_its_figures(
    early_ms: int, day: int
) -> None:
    worn = Counters(day=TODAY + 1, trades_today=19, fired=(ReasonCode.RISK_DAILY_LOSS_LIMIT,))

    known = risk_counters.day_rolled(worn, {}, _MIDNIGHT - early_ms)

    assert known == msgspec.structs.replace(worn, day=day)


def test_a_fill_begins_its_day_however_many_days_nobody_ran() -> None:
    worn = Counters(day=TODAY - 3, trades_today=20, realised_today=Decimal(-499))

    bought = _book(worn, a_trade(1, Side.BUY, "100", "1"))

    assert (bought.day, bought.trades_today, bought.realised_today) == (TODAY, 1, Decimal(0))
    assert risk_counters.day_rolled(bought, {}, NOW_MS) is bought


def test_an_old_peak_does_not_outlive_its_day() -> None:
    held = _book(_START, a_trade(1, Side.BUY, "100", "10"))
    high, _ = risk_counters.marked(held, {_SYMBOL: Decimal(160)}, _RISK)
    low = {_SYMBOL: Decimal(111)}

    late, on_the_day = risk_counters.marked(high, low, _RISK)
    fresh = risk_counters.day_rolled(high, low, _MIDNIGHT)
    _, next_day = risk_counters.marked(fresh, low, _RISK)

    # 9.99 x 49 is less than 500; one more unit of price is not.
    assert on_the_day == ()
    assert risk_counters.marked(late, {_SYMBOL: Decimal("109.9")}, _RISK)[1] == (
        ReasonCode.RISK_DRAWDOWN_LIMIT,
    )
    assert next_day == ()
    assert risk_counters.marked(fresh, {_SYMBOL: Decimal("109.9")}, _RISK)[1] == ()


def test_a_lot_keeps_its_last_valuation_until_the_market_speaks_again() -> None:
    held = _book(_START, a_trade(1, Side.BUY, "100", "10"))
    rich, _ = risk_counters.marked(held, {_SYMBOL: Decimal(160)}, _RISK)

    again = risk_counters.from_json(risk_counters.to_json(rich))

    assert risk_counters.equity(again, {}) == risk_counters.equity(rich, {_SYMBOL: Decimal(160)})
    # Counted at cost it would have fallen by 600 and blocked the day.
    assert risk_counters.marked(again, {}, _RISK)[1] == ()
