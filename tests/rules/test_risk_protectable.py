"""Whatever the symbol's filters, an allowed size can carry its protection after the fee."""

import csv
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livespot.contracts.amounts import BPS, decimals_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import RiskVerdict
from livespot.contracts.market import Constraints
from livespot.contracts.settings import RiskSettings, Settings
from livespot.contracts.vocabulary import OrderType, Verdict
from livespot.rules.exit_requests import SellDraft, check_sells, oco_mutation
from livespot.rules.quantize import OrderDraft, OrderRefused, check_order, quantize_qty
from livespot.rules.requests import stop_prices
from livespot.rules.risk import assess
from livespot.rules.sizing import stop_order_type
from livespot.rules.trailing import resting
from livespot.testing.market_values import a_snapshot, a_symbol, some_constraints
from livespot.testing.risk_values import a_view, an_entry

_FILE = Path(__file__).parents[1] / "data" / "filter-variety.csv"
_RISK = RiskSettings(max_exposure_symbol=Decimal(1_000_000), max_exposure_total=Decimal(1_000_000))
_SETTINGS = Settings(risk=_RISK)
_HUGE = Decimal(10**15)
# The exchange rounds a commission up at this place at most.
_FEE_UNIT = Decimal("1e-8")


def _filters(tick: str, step: str, min_qty: str, min_notional: str) -> Constraints:
    return some_constraints(
        tick_size=Decimal(tick),
        step_size=Decimal(step),
        min_qty=Decimal(min_qty),
        max_qty=_HUGE,
        min_notional=Decimal(min_notional),
        min_price=Decimal(0),
        max_price=Decimal(0),
        price_decimals=decimals_of(Decimal(tick)),
        qty_decimals=decimals_of(Decimal(step)),
    )


def _variety() -> list[Constraints]:
    with _FILE.open(encoding="utf-8") as source:
        return [_filters(*row[:4]) for row in list(csv.reader(source))[1:]]


VARIETY = _variety()
_PLACES = st.integers(2, 8)
_MADE_UP = st.builds(
    lambda tick, step, factor, notional: _filters(
        f"1e-{tick}", f"1e-{step}", f"{factor}e-{step}", notional
    ),
    _PLACES,
    _PLACES,
    st.integers(1, 1000),
    st.sampled_from(["0.0001", "0.05", "1", "5", "10", "100"]),
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody wants to buy. `budget` is in thousandths of the least notional."""

    filters: Constraints
    price_ticks: int
    stop_bps: int
    fee_bps: int
    budget: int
    stop: OrderType
    gate_percent: int

    @property
    def price(self) -> Decimal:
        return self.price_ticks * self.filters.tick_size

    def price_at(self, away_bps: int) -> Decimal:
        return self.price_ticks * (10_000 + away_bps) // 10_000 * self.filters.tick_size

    @property
    def free_quote(self) -> Decimal:
        return self.filters.min_notional * self.budget / 1000


_WISHES = st.builds(
    Wish,
    filters=st.sampled_from(VARIETY) | _MADE_UP,
    price_ticks=st.integers(300, 10_000_000),
    stop_bps=st.integers(50, 1500),
    fee_bps=st.integers(0, 100),
    budget=st.integers(900, 1500) | st.integers(1500, 200_000),
    stop=st.sampled_from([OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT]),
    gate_percent=st.integers(1, 100),
)


def _judged(wish: Wish) -> tuple[RiskVerdict, Decimal, Decimal]:
    """The verdict, and the prices of the target and the stop."""
    stop, target = wish.price_at(-wish.stop_bps), wish.price_at(2 * wish.stop_bps)
    calm = a_snapshot()
    snapshot = a_snapshot(
        cost_inputs=msgspec.structs.replace(calm.cost_inputs, base_fee_bps=wish.fee_bps),
        volatility=msgspec.structs.replace(calm.volatility, atr14_5m_bps=1),
    )
    base = an_entry()
    assert base.entry_plan is not None
    assert base.exit_plan is not None
    wanted = max(wish.free_quote * wish.gate_percent / 100, wish.filters.min_notional)
    qty = quantize_qty(wanted / wish.price, wish.filters) or wish.filters.step_size
    decision = msgspec.structs.replace(
        base,
        snapshot_hash=snapshot.snapshot_hash,
        constraints=wish.filters,
        entry_plan=msgspec.structs.replace(base.entry_plan, limit_price=wish.price, qty=qty),
        exit_plan=msgspec.structs.replace(base.exit_plan, sl_price=stop, tp_price=target),
    )
    info = a_symbol(constraints=wish.filters, order_types=("LIMIT_MAKER", wish.stop.value))
    view = a_view(settings=_SETTINGS, info=info, free_quote=wish.free_quote)
    return assess(decision, snapshot, view), target, stop


def _legs_are_accepted(wish: Wish, sold: Decimal, target: Decimal, stop: Decimal) -> bool:
    """Whether the exchange's filters let a protection of this size stand."""
    kind = stop_order_type(a_symbol(order_types=("LIMIT_MAKER", wish.stop.value)), _SETTINGS.exit)
    assert kind is wish.stop
    prices = stop_prices(stop, kind, _SETTINGS.exit, wish.filters)
    draft = SellDraft(
        decision_id="d",
        parent_intent_id="oi",
        symbol="SOLUSDT",
        qty=sold,
        attempt=1,
        recv_window_ms=5000,
        now_ms=0,
    )
    mutation = oco_mutation(draft, above=resting(target), stop=prices)
    # A leg at market is measured by the reference price, for which the entry's price stands.
    lowest = prices.limit_price or wish.price
    assert sold * min(lowest, target) >= wish.filters.min_notional
    return check_sells(mutation, wish.filters) is None


@settings(max_examples=400, deadline=None)
@given(wish=_WISHES, taken_percent=st.integers(0, 100))
@example(
    wish=Wish(
        filters=_filters("0.01", "0.00001", "0.00001", "10"),
        price_ticks=3_000_000,
        stop_bps=1500,
        fee_bps=10,
        budget=1250,
        stop=OrderType.STOP_LOSS_LIMIT,
        gate_percent=100,
    ),
    taken_percent=100,
)
def test_what_was_allowed_can_be_protected_after_the_fee(wish: Wish, taken_percent: int) -> None:
    verdict, target, stop = _judged(wish)
    if verdict.verdict is Verdict.BLOCK:
        assert verdict.approved_qty == 0
        return
    bought = verdict.approved_qty
    draft = OrderDraft(
        type=OrderType.LIMIT_MAKER, side=an_entry().side, qty=bought, price=wish.price
    )
    entry = check_order(draft, wish.filters, reference_price=wish.price)
    assert not isinstance(entry, OrderRefused)
    fee = bought * wish.fee_bps * taken_percent / (BPS * 100)
    fee = min(bought, -(-fee // _FEE_UNIT) * _FEE_UNIT)

    sold = quantize_qty(bought - fee, wish.filters)

    assert sold >= wish.filters.min_qty
    assert bought * wish.price <= wish.free_quote
    assert (bought - sold) * BPS <= bought * _RISK.max_dust_bps
    assert _legs_are_accepted(wish, sold, target, stop)


def test_every_kind_of_filters_lets_a_plain_entry_through() -> None:
    blocked = []
    for filters in VARIETY:
        ticks = max(10_000, int(filters.min_notional / filters.tick_size) // 100)
        # Large enough that a single step is less than a hundredth of it.
        least = 500 * max(filters.step_size, filters.min_qty) * ticks * filters.tick_size
        budget = max(5_000, int(least / filters.min_notional * 1000) + 1)
        wish = Wish(
            filters=filters,
            price_ticks=ticks,
            stop_bps=150,
            fee_bps=10,
            budget=budget,
            stop=OrderType.STOP_LOSS_LIMIT,
            gate_percent=100,
        )
        verdict, _, _ = _judged(wish)
        if wish.free_quote <= 6000 and verdict.verdict is Verdict.BLOCK:
            blocked.append((filters, verdict.reasons))

    assert blocked == []
    assert len(VARIETY) == 149


def test_the_smaller_quantity_of_the_gate_must_be_protectable_itself() -> None:
    wish = Wish(
        filters=_filters("0.01", "0.001", "0.001", "5"),
        price_ticks=10_000,
        stop_bps=150,
        fee_bps=10,
        budget=100_000,
        stop=OrderType.STOP_LOSS_LIMIT,
        gate_percent=100,
    )

    small, _, _ = _judged(replace(wish, gate_percent=1))

    assert _judged(wish)[0].verdict is Verdict.ALLOW
    assert small.verdict is Verdict.BLOCK
    assert ReasonCode.PROTECTION_INVALID_MIN_NOTIONAL in small.reasons
    # It was the gate that made it small, not a cap.
    assert ReasonCode.RISK_EXPOSURE_LIMIT not in small.reasons
