"""Describes each stored step of a decision in one or two lines for a person."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from livespot.contracts.catalogue import CATALOGUE
from livespot.contracts.codes import ReasonCode
from livespot.evidence.measures import amount, failed_by_risk, share
from livespot.evidence.moments import instant

Fact: TypeAlias = dict[str, Any]
# Names, in words, of the limits that can cut a size.
_BINDINGS = {
    "risk_per_trade": "the risk per trade",
    "exposure_symbol_room": "the exposure limit of the symbol",
    "exposure_total_room": "the exposure limit in total",
    "free_quote": "the free balance",
    "max_notional": "the exchange's largest notional",
    "max_qty": "the exchange's largest quantity",
    "first_day_max_notional": "the limit of the first live day",
}


def snapshot(tree: Fact) -> Iterator[str]:
    """Regime, market microstructure, prices and costs."""
    regime, micro, prices = tree["regime"], tree["microstructure"], tree["prices"]
    costs, moved = tree["cost_inputs"], tree["volatility"]
    yield f"{tree['snapshot_id']} of {instant(tree['exchange_time_ms'])}, {tree['symbol_status']}"
    trend, flat = share(regime["trend_score_x10000"]), share(regime["range_score_x10000"])
    yield f"regime {regime['label']} {regime['direction']}, trend {trend}, range {flat}"
    yield (
        f"bid {prices['best_bid']}, ask {prices['best_ask']}, last {prices['last_price']}, "
        f"EMA20 {tree['ema20_5m']}, ATR14 5m {moved['atr14_5m_bps']} bps"
    )
    yield (
        f"spread {micro['spread_current_bps']} bps (median {micro['spread_bps_p50_60s']}, widened "
        f"by {micro['delta_spread_bps_p90_10s']}), bid share "
        f"{share(micro['bid_ask_imbalance_p50_10s_x10000'])}, 5m volume ratio "
        f"{share(tree['volume_ratio_5m_x10000'])}"
    )
    yield (
        f"costs: fees {costs['maker_fee_bps']} and {costs['taker_fee_bps']} bps, slippage "
        f"{costs['slippage_est_entry_maker_bps']} in and {costs['slippage_est_exit_taker_bps']} out"
    )


def decision(tree: Fact, outcome: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    """What was proposed, in which cycles, and every check that spoke for it."""
    for kind, cycle_id, run_id in rows:
        yield f"{kind} in {cycle_id} of {run_id}"
    entry, exits = tree.get("entry_plan"), tree.get("exit_plan")
    if not entry or not exits:
        yield f"{outcome} without a plan of its own"
        return
    yield (
        f"{tree['strategy_id']} {tree['strategy_version']}: buy {entry['qty']} at "
        f"{entry['limit_price']} ({entry['kind']}, {entry['ttl_ms']} ms, "
        f"{entry['max_reprices']} reprices)"
    )
    yield (
        f"target {exits['tp_price']} (+{tree['tp_bps']} bps), stop {exits['sl_price']} "
        f"(-{tree['sl_bps']} bps), reward margin {tree['edge_bps_expected']} bps, score "
        f"{share(tree['edge_score_x10000'])}"
    )
    fallback = entry["fallback"]
    if fallback["enabled"]:
        most = fallback["max_slippage_bps"]
        yield f"if resting fails: {fallback['kind']}, at most {most} bps away"
    for code in tree["reasons"]:
        yield f"{code}: {_meaning(code)}"


def gate(row: Fact) -> Iterator[str]:
    """One attempt to ask the model."""
    asked = f"{row['model']} in {row['latency_ms']} ms" if row["enabled"] else "not asked"
    yield f"{instant(row['at_ms'])} {row['verdict']} ({asked}): {_codes(row['reasons'])}"
    if row["modify_applied"]:
        yield f"changed: {row['patch_redacted']}"
    if row["error_code"]:
        yield f"failed with {row['error_code']}: {row['error_detail_redacted']}"


def risk(row: Fact) -> Iterator[str]:
    """One verdict with its limits and counters, and what cut the size."""
    limits, inputs = row["limits"], row["inputs"]
    kind = " for another attempt" if inputs.get("recheck", False) else ""
    kind += " before the model was asked" if inputs.get("before_gate", False) else ""
    yield f"{instant(row['at_ms'])} {row['verdict']}{kind}: {_codes(row['reasons'])}"
    if row["verdict"] == "BLOCK":
        judged = inputs.get("decision") or {}
        for code in row["reasons"]:
            yield failed_by_risk(code, limits, judged.get("edge_bps_expected", 0))
    if "size_binding" not in limits:
        return
    binding = limits["size_binding"]
    yield (
        f"size: planned {amount(limits['planned_qty'])}, allowed {amount(limits['size_qty'])} "
        f"({amount(limits['size_quote'])} quote) by {_BINDINGS.get(binding, binding)}, "
        f"approved {amount(row['approved_qty'])}"
    )
    yield (
        f"exposure {amount(limits['exposure_symbol'])} of {amount(limits['exposure_symbol_max'])} "
        f"in the symbol, {amount(limits['exposure_total'])} of "
        f"{amount(limits['exposure_total_max'])} in total; free {amount(limits['free_quote'])}, "
        f"reserved {amount(limits['reserved_quote'])}"
    )
    yield (
        f"day {amount(limits['day_equity'])} (limit {amount(limits['daily_loss_max'])}), drawdown "
        f"{amount(limits['drawdown'])} of {amount(limits['drawdown_max'])}; trades today "
        f"{limits['trades_today']} of {limits['trades_per_day_max']}, in the window "
        f"{limits['trades_in_window']} of {limits['trades_per_window_max']}, open entries "
        f"{limits['open_entries']} of {limits['open_orders_total_max']}"
    )
    factor = share(limits["edge_multiplier_x10000"])
    yield f"least reward margin {limits['edge_min_bps']} bps (x{factor} today)"


def reserve(row: Fact) -> Iterator[str]:
    """What the decision may still spend."""
    yield f"{row['state']}, {amount(row['amount_quote'])} quote, {instant(row['updated_at_ms'])}"


def intent(row: Fact) -> Iterator[str]:
    """One mutation."""
    error = f", code {row['last_error_code']}" if row["last_error_code"] else ""
    yield (
        f"{instant(row['created_at_ms'])} {row['action']} {row['role']} {row['side']} attempt "
        f"{row['attempt']}: {row['state']}{error}, {row['order_intent_id']}, "
        f"client id {row['client_order_id']}"
    )


def transition(row: Fact) -> Iterator[str]:
    """One step of an intent, with its evidence."""
    why = f" by {row['evidence']}" if row["evidence"] else ""
    codes = f": {_codes(row['reasons'])}" if row["reasons"] else ""
    yield f"  {instant(row['at_ms'])} {row['from_state']} -> {row['to_state']}{why}{codes}"


def order(row: Fact) -> Iterator[str]:
    """An order as it was last seen."""
    stop = f", stop {row['stop_price']}" if Decimal(row["stop_price"]) else ""
    yield (
        f"order {row['order_id']} {row['role']} {row['side']} {row['type']} {row['status']}: "
        f"{amount(row['executed_qty'])} of {amount(row['orig_qty'])} at {row['price']}{stop} "
        f"({row['source']}, {row['client_order_id']})"
    )


def fill(row: Fact) -> Iterator[str]:
    """A trade with its fee."""
    who = "maker" if row["is_maker"] else "taker"
    priced = "price unknown" if row["fee_unpriced"] else f"{amount(row['fee_quote'])} quote"
    yield (
        f"{instant(row['exchange_time_ms'])} {row['side']} {amount(row['qty'])} at {row['price']} "
        f"as {who}, trade {row['trade_id']} of order {row['order_id']}, fee "
        f"{amount(row['commission'])} {row['commission_asset']} ({priced}), by {row['source']}"
    )


def protection(row: Fact) -> Iterator[str]:
    """A change of the position, or of its protection."""
    data = row["data"]
    before, phase = data.get("phase_before") or "nothing", data.get("phase", "")
    codes = f": {_codes(row['reasons'])}" if row["reasons"] else ""
    yield (
        f"{instant(row['ts_ms'])} {before} -> {phase}, holds {amount(data.get('qty', 0))}, "
        f"protected {amount(data.get('protected_qty', 0))}{codes}"
    )


def reconcile(row: Fact) -> Iterator[str]:
    """A difference to what the exchange says."""
    for diff in row["diffs"]:
        done = "taken over" if diff["corrected"] else "noted"
        yield (
            f"{instant(row['started_at_ms'])} {row['label']}: {diff['mismatch']} of "
            f"{diff['subject']}: we believed {diff['before'] or 'nothing'}, the exchange says "
            f"{diff['after'] or 'nothing'} ({done})"
        )


def position(row: Fact) -> Iterator[str]:
    """The result, once there is one."""
    yield f"{row['position_id']} opened {instant(row['opened_at_ms'])}: {outcome(row)}"
    yield (
        f"average price {row['avg_price']}, without protection for {row['unprotected_ms']} ms, "
        f"dust {amount(row['dust_qty'])}"
    )


def outcome(row: Fact) -> str:
    """Open, or closed with its reason and PnL."""
    doubt = ", a fee without a known price" if row["fee_unpriced"] else ""
    money = f"{amount(row['realised_quote'])} realised after {amount(row['fees_quote'])} of fees"
    if row["closed_at_ms"]:
        when = instant(row["closed_at_ms"])
        return f"closed {when} by {row['exit_reason']}, {money}{doubt}"
    return f"still {row['phase']} with {amount(row['qty'])}, {money}{doubt}"


def shadow(row: Fact) -> Iterator[str]:
    """What a fill model estimates of an entry that was never sent."""
    said = row["data"]["shadow"]
    if said["outcome"] == "WOULD_ENTER":
        yield (
            f"{instant(row['ts_ms'])} no order was sent; it would have been "
            f"{amount(said['qty'])} at {amount(said['limit_price'])}"
        )
        yield (
            f"estimate of the model {said['model']}: fees {said['maker_bps']} and "
            f"{said['taker_bps']} bps, slippage {said['slippage_bps']} bps"
        )
        return
    net = said["net_quote"]
    money = "no amount can be told" if net is None else f"{amount(net)} after fees and slippage"
    yield f"{instant(row['ts_ms'])} it would have been {said['outcome']}: {money}"


def end(row: Fact) -> Iterator[str]:
    """How the strategy's proposal was closed."""
    yield f"{instant(row['ts_ms'])} {_codes(row['reasons']) or 'it ran to its end'}"


def _codes(reasons: Sequence[str]) -> str:
    return ", ".join(reasons)


def _meaning(code: str) -> str:
    said = CATALOGUE[ReasonCode(code)].meaning.rstrip(".")
    return f"{said[:1].lower()}{said[1:]}"
