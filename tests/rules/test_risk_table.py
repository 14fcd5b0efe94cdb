"""One table: each rule, how far from its limit an entry stands in units of the rule, its code."""

import inspect
import re
from collections.abc import Callable
from decimal import Decimal

import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import DecisionIntent, GateVerdict, RegimeLabel, SysMode, Verdict
from livespot.rules import risk
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.risk_counters import HeldLot, SymbolCounters
from livespot.testing.market_values import NOW_MS, a_symbol, some_constraints
from livespot.testing.risk_cases import (
    ALIKE,
    ALIKE_X10000,
    CENT,
    MINE,
    PRICE,
    STEP,
    TICK,
    Case,
    a_case,
    a_reserve,
    atr,
    book_of,
    compared,
    costs,
    day,
    gate_size,
    lost,
    micro,
    mine,
    native,
    open_loss,
    others,
    plans,
    returns_of,
    room,
    slots,
    smallest,
)
from livespot.testing.risk_values import a_gate_result

Code = ReasonCode

# (rule, its unit, the case standing `n` units from the limit, the offsets that block, the code)
Row = tuple[str, str, Callable[[int], Case], frozenset[int], ReasonCode]
_OVER = frozenset({1})
_FROM = frozenset({0, 1})
_UNDER = frozenset({-1})
_UP_TO = frozenset({-1, 0})
_HOUR_MS = 3_600_000

_MEASURED: list[Row] = [
    (
        "quarantine",
        "ms",
        lambda n: a_case(faults=SymbolFaults(symbol="SOLUSDT", until_ms=NOW_MS + n)),
        _OVER,
        Code.SYMBOL_QUARANTINED,
    ),
    (
        "age",
        "ms",
        lambda n: a_case(now_ms=NOW_MS + 15_000 + n),
        _OVER,
        Code.STRAT_ENTRY_ABORTED_COST,
    ),
    (
        "stop off its tick",
        "tenth of a tick",
        lambda n: a_case(plans(exits={"sl_price": Decimal("98.2") + n * TICK / 10})),
        frozenset({-1, 1}),
        Code.PROTECTION_INVALID_FILTER,
    ),
    ("daily loss", "cent", lambda n: lost(500 + n * CENT), _FROM, Code.RISK_DAILY_LOSS_LIMIT),
    (
        "daily loss, open",
        "cent",
        lambda n: open_loss(500 + n * CENT),
        _FROM,
        Code.RISK_DAILY_LOSS_LIMIT,
    ),
    (
        "drawdown",
        "cent",
        lambda n: a_case(counters=day(peak_equity=500 + n * CENT)),
        _FROM,
        Code.RISK_DRAWDOWN_LIMIT,
    ),
    (
        "trades a day",
        "trade",
        lambda n: a_case(counters=day(trades_today=20 + n)),
        _FROM,
        Code.RISK_MAX_TRADES_DAY,
    ),
    (
        "trades a day, some of them pending",
        "trade",
        lambda n: a_case(counters=day(trades_today=18), book=others(2 + n)),
        _FROM,
        Code.RISK_MAX_TRADES_DAY,
    ),
    (
        "open entries",
        "order",
        lambda n: a_case(book=others(10 + n)),
        _FROM,
        Code.RISK_MAX_OPEN_ORDERS,
    ),
    (
        "open entries of the symbol",
        "order",
        lambda n: a_case(book={str(k): a_reserve("SOLUSDT") for k in range(1 + n)}),
        _FROM,
        Code.RISK_MAX_OPEN_ORDERS,
    ),
    (
        "pending entry",
        "order",
        lambda n: a_case(book={str(k): a_reserve("SOLUSDT") for k in range(1 + n)}),
        _FROM,
        Code.RISK_ENTRY_ALREADY_PENDING,
    ),
    (
        "cool-down",
        "ms",
        lambda n: a_case(counters=mine(cooldown_until_ms=NOW_MS + n)),
        _OVER,
        Code.RISK_COOLDOWN_ACTIVE,
    ),
    (
        "trades in the window",
        "trade",
        lambda n: a_case(counters=mine(trades_ms=(NOW_MS - 5,) * (3 + n))),
        _FROM,
        Code.RISK_MAX_TRADES_WINDOW,
    ),
    (
        "length of the window",
        "ms",
        lambda n: a_case(counters=mine(trades_ms=(NOW_MS - _HOUR_MS + n,) * 3)),
        _OVER,
        Code.RISK_MAX_TRADES_WINDOW,
    ),
    (
        "loss streak",
        "ms",
        lambda n: a_case(counters=mine(streak_until_ms=NOW_MS + n)),
        _OVER,
        Code.RISK_SYMBOL_LOSS_STREAK,
    ),
    ("latency", "ms", lambda n: a_case(latency_p90_ms=1000 + n), _OVER, Code.WS_STALE_DEGRADE),
    *(
        (
            f"negative {part}",
            "bps",
            lambda n, part=part: a_case(snapshot=costs(**{part: n})),
            _UNDER,
            Code.STRAT_INPUT_INVALID,
        )
        for part in (
            "maker_fee_bps",
            "taker_fee_bps",
            "base_fee_bps",
            "slippage_est_entry_maker_bps",
            "slippage_est_entry_taker_bps",
            "slippage_est_exit_taker_bps",
        )
    ),
    (
        "margin",
        "bps",
        lambda n: a_case({"edge_bps_expected": 15 + n}, atr(75)),
        _UNDER,
        Code.STRAT_EDGE_BELOW_MIN,
    ),
    (
        "margin in a range",
        "bps",
        lambda n: a_case({"edge_bps_expected": 23 + n, "regime": RegimeLabel.RANGE}, atr(75)),
        _UNDER,
        Code.STRAT_EDGE_BELOW_MIN,
    ),
    (
        "volatility that asks for more",
        "bps",
        lambda n: a_case({"edge_bps_expected": 19}, atr(75 + n)),
        _OVER,
        Code.STRAT_EDGE_BELOW_MIN,
    ),
    (
        "spread that asks for more",
        "bps",
        lambda n: a_case({"edge_bps_expected": 17}, atr(75) | micro(spread_current_bps=5 + n)),
        _OVER,
        Code.STRAT_EDGE_BELOW_MIN,
    ),
    (
        "imbalance that asks for more",
        "x10000",
        lambda n: a_case(
            {"edge_bps_expected": 20},
            atr(75) | micro(bid_ask_imbalance_p50_10s_x10000=5000 + n),
        ),
        _UNDER,
        Code.STRAT_EDGE_BELOW_MIN,
    ),
    (
        "stop two ticks away",
        "tick",
        lambda n: a_case(plans(exits={"sl_price": PRICE - (2 + n) * TICK}), atr(1)),
        _UNDER,
        Code.STRAT_EXIT_INVALID,
    ),
    (
        # Half an ATR of 100 bps is 0.49845: 50 ticks are beyond it.
        "stop half an ATR away",
        "tick",
        lambda n: a_case(plans(exits={"sl_price": PRICE - (50 + n) * TICK})),
        _UNDER,
        Code.STRAT_EXIT_INVALID,
    ),
    (
        "target beyond the stop's distance",
        "tick",
        lambda n: a_case(plans(exits={"sl_price": PRICE - 1, "tp_price": PRICE + 1 + n * TICK})),
        _UP_TO,
        Code.STRAT_EXIT_INVALID,
    ),
    (
        "trailing trigger",
        "tick",
        lambda n: a_case(native(100, n)),
        _UNDER,
        Code.STRAT_EXIT_INVALID,
    ),
    (
        "least trailing distance",
        "bps",
        lambda n: a_case(native(10 + n)),
        _UNDER,
        Code.STRAT_EXIT_INVALID,
    ),
    (
        "greatest trailing distance",
        "bps",
        lambda n: a_case(native(500 + n)),
        _OVER,
        Code.STRAT_EXIT_INVALID,
    ),
    (
        "least quantity",
        "step",
        lambda n: smallest(Decimal("0.5") + n * STEP),
        _UNDER,
        Code.RISK_SIZE_INVALID,
    ),
    (
        # 0.055 keeps 0.054 after the fee, less a step 0.053; the stop's limit is below 98.
        "protectable quantity",
        "step",
        lambda n: gate_size(Decimal("0.055") + n * STEP, max_dust_bps=1000),
        _UNDER,
        Code.PROTECTION_INVALID_MIN_NOTIONAL,
    ),
    (
        # One step of 0.001 is lost of 0.1: exactly 100 bps.
        "steps lost to the fee",
        "bps",
        lambda n: gate_size(Decimal("0.1"), max_dust_bps=100 + n),
        _UNDER,
        Code.PROTECTION_INVALID_MIN_NOTIONAL,
    ),
    (
        # 0.1 is the least that is protectable here: 0.099 would lose more than 100 bps.
        "free quote",
        "cent",
        lambda n: room(Decimal("9.969") + n * CENT, free=True),
        _UNDER,
        Code.RISK_INSUFFICIENT_FREE_BALANCE,
    ),
    (
        "free quote less reserves",
        "cent",
        lambda n: room(Decimal("9.969") + n * CENT, reserved=True),
        _UNDER,
        Code.RISK_INSUFFICIENT_FREE_BALANCE,
    ),
    (
        "room in the total exposure",
        "cent",
        lambda n: room(Decimal("9.969") + n * CENT),
        _UNDER,
        Code.RISK_EXPOSURE_LIMIT,
    ),
    (
        "orders of the symbol",
        "order",
        lambda n: slots({"max_num_orders": 3 + n}),
        _UNDER,
        Code.PROTECTION_INVALID_FILTER,
    ),
    (
        "conditional orders of the symbol",
        "order",
        lambda n: a_case(native(100, algo=2 + n)),
        _UNDER,
        Code.PROTECTION_INVALID_FILTER,
    ),
    (
        "correlation",
        "x10000",
        lambda n: compared(MINE, ALIKE, ALIKE_X10000 - n),
        _FROM,
        Code.RISK_CORRELATION_TOO_HIGH,
    ),
    (
        "missing returns",
        "point",
        lambda n: compared(returns_of(1, 4, -4, 2, -3, missing=7 + n), returns_of(3, -1, 0, 2)),
        _OVER,
        Code.RISK_CORRELATION_TOO_HIGH,
    ),
    *(
        (
            f"churn pause, {code}",
            "ms",
            lambda n, code=code: a_case(
                counters=mine(churn_until_ms=NOW_MS + n, churn_reasons=(code,))
            ),
            _OVER,
            code,
        )
        for code in (Code.RISK_CHURN_LIMIT_HIT, Code.RISK_CANCEL_REPLACE_LIMIT_HIT)
    ),
    (
        "unfilled orders",
        "%",
        lambda n: a_case(unfilled_orders_pct=95 + n),
        _FROM,
        Code.RISK_UNFILLED_ORDER_COUNT_RISK,
    ),
    (
        "unfilled orders of a reprice",
        "%",
        lambda n: a_case(unfilled_orders_pct=80 + n, recheck=True),
        _FROM,
        Code.RISK_UNFILLED_ORDER_COUNT_RISK,
    ),
]

_STATED: list[tuple[str, Callable[[], Case], ReasonCode]] = [
    *(
        (f"mode {mode}", lambda mode=mode: a_case(sysmode=mode), Code.RISK_SYSMODE_BLOCKS_ENTRY)
        for mode in SysMode
        if mode is not SysMode.NORMAL
    ),
    (
        "a position of the operator's own",
        lambda: a_case(manual_exposure=True),
        Code.MANUAL_EXPOSURE_ACTIVE,
    ),
    ("symbol unknown", lambda: a_case(info=None), Code.FILTERS_DRIFT_DETECTED),
    (
        "filters inconsistent",
        lambda: a_case(info=a_symbol(constraints=None)),
        Code.FILTERS_DRIFT_DETECTED,
    ),
    (
        "filters changed since",
        lambda: a_case(info=a_symbol(constraints=some_constraints(filters_hash="0" * 64))),
        Code.FILTERS_DRIFT_DETECTED,
    ),
    ("halted", lambda: a_case(info=a_symbol(status="HALT")), Code.SYMBOL_NOT_TRADING),
    (
        "no stop offered",
        lambda: a_case(info=a_symbol(order_types=("LIMIT",))),
        Code.PROTECTION_INVALID_FILTER,
    ),
    ("another snapshot", lambda: a_case({"snapshot_hash": "0" * 64}), Code.STRAT_INPUT_INVALID),
    ("no entry", lambda: a_case({"intent": DecisionIntent.MANAGE}), Code.STRAT_MISSING_FIELD),
    ("not asked", lambda: a_case({"ai_gate": None}), Code.AIGATE_BLOCKED),
    *(
        (
            f"gate says {verdict}",
            lambda verdict=verdict: a_case({"ai_gate": a_gate_result(verdict=verdict)}),
            Code.AIGATE_BLOCKED,
        )
        for verdict in GateVerdict
        if verdict not in (GateVerdict.ALLOW, GateVerdict.MODIFY)
    ),
    (
        "position open",
        lambda: a_case(counters=mine(held=HeldLot(decision_id="d", qty=Decimal(1)))),
        Code.RISK_POSITION_ALREADY_OPEN,
    ),
    *(
        (f"{code} fired today", lambda code=code: a_case(counters=day(fired=(code,))), code)
        for code in (Code.RISK_DAILY_LOSS_LIMIT, Code.RISK_DRAWDOWN_LIMIT)
    ),
    (
        "trailing without bounds",
        lambda: a_case(native(100) | {"constraints": some_constraints()}),
        Code.STRAT_EXIT_INVALID,
    ),
    (
        "nothing known of the others' returns",
        lambda: a_case(book=others(2)),
        Code.RISK_CORRELATION_TOO_HIGH,
    ),
]


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("row", _MEASURED, ids=lambda row: f"{row[0]}, by {row[1]}")
def test_each_limit_blocks_exactly_beyond_its_edge(row: Row, offset: int) -> None:
    _, _, case_at, blocked, code = row

    assert (code in case_at(offset).reasons) is (offset in blocked)


@pytest.mark.parametrize(("case", "code"), [pytest.param(*row[1:], id=row[0]) for row in _STATED])
def test_what_stands_against_an_entry_is_named(case: Callable[[], Case], code: ReasonCode) -> None:
    verdict = case().verdict

    assert verdict.verdict is Verdict.BLOCK
    assert verdict.approved_qty == 0
    assert code in verdict.reasons


def test_every_code_risk_can_give_stands_in_the_table() -> None:
    named = {ReasonCode(name) for name in re.findall(r"ReasonCode\.(\w+)", inspect.getsource(risk))}
    tested = {row[4] for row in _MEASURED} | {row[2] for row in _STATED}
    # Not reasons against an entry: all is well, and the note that a cap did bite.
    notes = {Code.RISK_OK, Code.RISK_SIZE_CAPPED}
    # Given by the selection of symbols, not by risk.
    elsewhere = {Code.RISK_DIVERSIFY_APPLIED}
    of_risk = {code for code in ReasonCode if code.value.startswith("RISK_")}

    assert tested == (named | of_risk) - notes - elsewhere


def test_all_that_stands_against_an_entry_is_told_in_the_order_of_the_checks() -> None:
    mine = SymbolCounters(
        held=HeldLot(decision_id="d", qty=Decimal(1), cost_quote=Decimal(600)),
        cooldown_until_ms=NOW_MS + 1,
        trades_ms=(NOW_MS,) * 3,
        streak_until_ms=NOW_MS + 1,
        churn_until_ms=NOW_MS + 1,
        churn_reasons=(Code.RISK_CANCEL_REPLACE_LIMIT_HIT, Code.RISK_CHURN_LIMIT_HIT),
    )
    stop_above = {**plans(exits={"sl_price": PRICE - TICK / 10}), "edge_bps_expected": 0}
    case = a_case(
        {**stop_above, "ai_gate": None},
        costs(taker_fee_bps=-1),
        sysmode=SysMode.PAUSE,
        faults=SymbolFaults(symbol="SOLUSDT", until_ms=NOW_MS + 1),
        info=a_symbol(status="HALT"),
        now_ms=NOW_MS,
        counters=day(trades_today=20, peak_equity=Decimal(1000), symbols={"SOLUSDT": mine}),
        bids={"SOLUSDT": Decimal(1)},
        book=book_of("SOLUSDT", "AUSDT", "BUSDT"),
        free_quote=Decimal(0),
        latency_p90_ms=1001,
        unfilled_orders_pct=95,
        manual_exposure=True,
    )

    assert case.reasons == (
        Code.RISK_SYSMODE_BLOCKS_ENTRY,
        Code.SYMBOL_QUARANTINED,
        Code.MANUAL_EXPOSURE_ACTIVE,
        Code.SYMBOL_NOT_TRADING,
        Code.AIGATE_BLOCKED,
        Code.PROTECTION_INVALID_FILTER,
        Code.RISK_POSITION_ALREADY_OPEN,
        Code.RISK_ENTRY_ALREADY_PENDING,
        Code.RISK_DAILY_LOSS_LIMIT,
        Code.RISK_DRAWDOWN_LIMIT,
        Code.RISK_MAX_TRADES_DAY,
        Code.RISK_MAX_OPEN_ORDERS,
        Code.RISK_COOLDOWN_ACTIVE,
        Code.RISK_MAX_TRADES_WINDOW,
        Code.RISK_SYMBOL_LOSS_STREAK,
        Code.WS_STALE_DEGRADE,
        Code.STRAT_INPUT_INVALID,
        Code.STRAT_EDGE_BELOW_MIN,
        Code.STRAT_EXIT_INVALID,
        Code.RISK_SIZE_INVALID,
        Code.PROTECTION_INVALID_MIN_NOTIONAL,
        Code.RISK_EXPOSURE_LIMIT,
        Code.RISK_CORRELATION_TOO_HIGH,
        Code.RISK_CANCEL_REPLACE_LIMIT_HIT,
        Code.RISK_CHURN_LIMIT_HIT,
        Code.RISK_UNFILLED_ORDER_COUNT_RISK,
        Code.RISK_SIZE_CAPPED,
    )
