"""Entries, views and fills for tests of gate and risk: everything passes unless changed."""

from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.decision import AIGateResult, Decision, EntryPlan, ExitPlan
from livespot.contracts.market import Snapshot
from livespot.contracts.orders import Fill
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import (
    EntryKind,
    FallbackKind,
    GateVerdict,
    Mode,
    Side,
    SysMode,
    TimeInForce,
    TrailingMode,
)
from livespot.rules.decision_ids import identified
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.risk import RiskView
from livespot.rules.risk_counters import DAY_MS, Counters
from livespot.rules.strategies import strategy_for
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol

TODAY = NOW_MS // DAY_MS


def a_gate_result(**changes: Any) -> AIGateResult:
    base = AIGateResult(
        enabled=True,
        verdict=GateVerdict.ALLOW,
        reasons=(),
        model="m",
        latency_ms=5,
        input_hash="a" * 64,
        raw_hash="b" * 64,
        prompt_hash="c" * 64,
    )
    return msgspec.structs.replace(base, **changes)


def an_entry(
    snapshot: Snapshot | None = None, settings: Settings | None = None, *, symbol: str = "SOLUSDT"
) -> Decision:
    """What the default strategy proposes on the plausible snapshot, let through by the gate."""
    chosen = settings or Settings()
    outcome = strategy_for(chosen).propose(
        snapshot or a_snapshot(chosen, symbol=symbol),
        chosen,
        mode=Mode.SIM,
        cycle_id="cyc_1",
        now_ms=NOW_MS,
    )
    if not isinstance(outcome, Decision):
        raise TypeError(f"the strategy did not want it: {outcome.reasons}")
    return msgspec.structs.replace(outcome, ai_gate=a_gate_result())


def a_view(**changes: Any) -> RiskView:
    """A calm account with 10000 free quote and nothing open."""
    symbol = changes.pop("symbol", "SOLUSDT")
    values: dict[str, Any] = {
        "settings": Settings(),
        "sysmode": SysMode.NORMAL,
        "now_ms": NOW_MS,
        "counters": Counters(day=TODAY),
        "book": {},
        "free_quote": Decimal(10_000),
        "bids": {},
        "faults": SymbolFaults(symbol=symbol),
        "info": a_symbol(symbol),
        "latency_p90_ms": 100,
        "unfilled_orders_pct": 0,
    }
    values |= changes
    return RiskView(**({"exchange_ms": values["now_ms"]} | values))


def a_trade(trade_id: int, side: Side, price: str, qty: str, **changes: Any) -> Fill:
    """A fill whose fee of a thousandth is taken from what is received."""
    bought = side is Side.BUY
    amount = Decimal(qty) if bought else Decimal(price) * Decimal(qty)
    base = Fill(
        symbol="SOLUSDT",
        trade_id=trade_id,
        order_id=1,
        client_order_id="X_",
        side=side,
        price=Decimal(price),
        qty=Decimal(qty),
        commission=amount / 1000,
        commission_asset="SOL" if bought else "USDT",
        is_maker=True,
        exchange_time_ms=NOW_MS,
        local_received_ms=NOW_MS,
    )
    return msgspec.structs.replace(base, **changes)


def plans_of(decision: Decision) -> tuple[EntryPlan, ExitPlan]:
    """Both plans of an entry."""
    if decision.entry_plan is None or decision.exit_plan is None:
        raise ValueError("only an entry has both plans")
    return decision.entry_plan, decision.exit_plan


def a_bold_entry(config_hash: str) -> Decision:
    """A decision with room below it in every direction: market entry, trailing, loud fallback."""
    replace = msgspec.structs.replace
    decision = an_entry()
    entry, exits = plans_of(decision)
    loud = replace(entry.fallback, enabled=True, kind=FallbackKind.MARKET_IF_ALLOWED)
    return identified(
        replace(
            decision,
            entry_plan=replace(
                entry, kind=EntryKind.MARKET, time_in_force=TimeInForce.IOC, fallback=loud
            ),
            exit_plan=replace(
                exits,
                trailing_mode=TrailingMode.VIRTUAL,
                trailing_trigger_price=Decimal("100.50"),
                trailing_distance_bps=100,
            ),
        ),
        config_hash=config_hash,
    )
