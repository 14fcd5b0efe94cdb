"""Entries that stand a chosen distance from one limit of risk; everything else passes."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision, RiskVerdict
from livespot.contracts.market import Returns, Snapshot, TrailingDeltaBounds
from livespot.contracts.settings import RiskSettings, SelectionSettings, Settings
from livespot.contracts.vocabulary import Interval, TrailingMode
from livespot.rules.correlation import correlation_x10000
from livespot.rules.reserves import Reserve, ReserveState
from livespot.rules.risk import RiskView, assess
from livespot.rules.risk_counters import Counters, HeldLot, SymbolCounters
from livespot.testing.market_values import NOW_MS, a_snapshot, some_constraints
from livespot.testing.risk_values import TODAY, a_view, an_entry

_replace = msgspec.structs.replace
CENT = Decimal("0.01")
TICK = Decimal("0.01")
STEP = Decimal("0.001")
PRICE = Decimal("99.69")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What risk is asked. Everything passes unless changed."""

    view: RiskView
    decision: Decision
    snapshot: Snapshot

    @property
    def verdict(self) -> RiskVerdict:
        return assess(self.decision, self.snapshot, self.view)

    @property
    def reasons(self) -> tuple[ReasonCode, ...]:
        return self.verdict.reasons


def a_case(
    decision: dict[str, Any] | None = None,
    snapshot: dict[str, Any] | None = None,
    **view: Any,
) -> Case:
    seen = a_snapshot(**(snapshot or {}))
    wanted = _replace(an_entry(), snapshot_hash=seen.snapshot_hash)
    return Case(view=a_view(**view), decision=_replace(wanted, **(decision or {})), snapshot=seen)


def plans(*, entry: dict[str, Any] | None = None, exits: dict[str, Any] | None = None) -> Any:
    base = an_entry()
    if base.entry_plan is None or base.exit_plan is None:
        raise TypeError("the entry has no plans")
    return {
        "entry_plan": _replace(base.entry_plan, **(entry or {})),
        "exit_plan": _replace(base.exit_plan, **(exits or {})),
    }


def day(**day: Any) -> Counters:
    return Counters(day=TODAY, **day)


def mine(**mine: Any) -> Counters:
    return day(symbols={"SOLUSDT": SymbolCounters(**mine)})


def a_reserve(symbol: str, amount: Decimal = Decimal(10)) -> Reserve:
    return Reserve(
        decision_id=f"dec_{symbol}",
        symbol=symbol,
        state=ReserveState.BOUND,
        amount_quote=amount,
        order_intent_id="oi",
        expires_at_ms=NOW_MS,
    )


def book_of(*symbols: str) -> dict[str, Reserve]:
    return {symbol: a_reserve(symbol) for symbol in symbols}


def others(count: int) -> dict[str, Reserve]:
    return book_of(*(f"S{number}USDT" for number in range(count)))


def with_limits(**limits: Any) -> Settings:
    return Settings(risk=RiskSettings(**limits))


def micro(**changes: int) -> dict[str, Any]:
    return {"microstructure": _replace(a_snapshot().microstructure, **changes)}


def atr(bps: int) -> dict[str, Any]:
    return {"volatility": _replace(a_snapshot().volatility, atr14_5m_bps=bps)}


def costs(**changes: int) -> dict[str, Any]:
    return {"cost_inputs": _replace(a_snapshot().cost_inputs, **changes)}


def native(distance: int, ticks: int = 0, *, algo: int = 5) -> dict[str, Any]:
    """Trailing within 10..500 above, triggered `ticks` over the entry."""
    bounds = TrailingDeltaBounds(min_above=10, max_above=500, min_below=10, max_below=500)
    trailing = plans(
        exits={
            "trailing_mode": TrailingMode.NATIVE,
            "trailing_trigger_price": PRICE + ticks * TICK,
            "trailing_distance_bps": distance,
        }
    )
    constraints = some_constraints(trailing_delta_bounds=bounds, max_num_algo_orders=algo)
    return {**trailing, "constraints": constraints}


def returns_of(*values: int, missing: int = 0) -> Returns:
    repeated = (values * 72)[:72]
    return Returns(timeframe=Interval.M5, window=72, log_return_bps=repeated, missing_count=missing)


MINE = returns_of(5, -5, 3, -4)
ALIKE = returns_of(5, -5, 3, -4, 2)
ALIKE_X10000 = abs(correlation_x10000(MINE.log_return_bps, ALIKE.log_return_bps))


def compared(mine: Returns, other: Returns, limit: int = 8000) -> Case:
    """A third entry beside two that are held and move alike among themselves."""
    settings = Settings(selection=SelectionSettings(corr_max_x10000=limit))
    return a_case(
        snapshot={"returns": mine},
        settings=settings,
        book=book_of("AUSDT", "BUSDT"),
        returns={"AUSDT": other, "BUSDT": other},
    )


def lost(quote: Decimal) -> Case:
    return a_case(counters=day(realised_today=-quote, peak_equity=-quote))


def open_loss(quote: Decimal) -> Case:
    """Another symbol is held at a cost of 1000 and worth that much less."""
    held = HeldLot(decision_id="d", qty=Decimal(10), cost_quote=Decimal(1000))
    counters = day(symbols={"AUSDT": SymbolCounters(held=held)}, peak_equity=Decimal(-10_000))
    return a_case(counters=counters, bids={"AUSDT": (1000 - quote) / 10})


def room(quote: Decimal, **kind: Any) -> Case:
    """Only `quote` is left of one of the rooms."""
    if "free" in kind:
        return a_case(free_quote=quote)
    if "reserved" in kind:
        return a_case(free_quote=200 + quote, book={"x": a_reserve("AUSDT", Decimal(200))})
    return a_case(book={"x": a_reserve("AUSDT", 500 - quote)})


def gate_size(qty: Decimal, **limits: Any) -> Case:
    """The gate made it this small."""
    return a_case(decision=plans(entry={"qty": qty}), settings=with_limits(**limits))


def smallest(qty: Decimal) -> Case:
    case = a_case(decision=plans(entry={"qty": qty}))
    constraints = some_constraints(min_qty=Decimal("0.5"))
    return Case(
        view=case.view,
        decision=_replace(case.decision, constraints=constraints),
        snapshot=case.snapshot,
    )


def slots(constraints: dict[str, int]) -> Case:
    return a_case(decision={"constraints": some_constraints(**constraints)})
