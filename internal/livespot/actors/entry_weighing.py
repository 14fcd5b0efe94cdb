"""Asks market state, strategy and risk, in this order, whether another entry attempt is wanted."""

from decimal import Decimal

import msgspec

from livespot.actors.execution_ports import ExecutionPorts
from livespot.actors.execution_work import AttemptWeighed
from livespot.actors.mail import RecheckAsked, SnapshotsAsked, SnapshotsBuilt
from livespot.contracts.amounts import ZERO
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision, RiskVerdict
from livespot.contracts.market import Snapshot
from livespot.contracts.records import SnapshotRow
from livespot.contracts.vocabulary import EventType, OrderType, Stage, TrailingMode, Verdict
from livespot.rules.entry_engine import Weigh
from livespot.rules.quantize import quantize_price
from livespot.rules.snapshot import snapshot_json
from livespot.rules.strategy import Reevaluation
from livespot.runtime.mailboxes import Reply

_ANSWER_LIMIT_S = 2.0
# Why another attempt is made, by its order type.
_ATTEMPT_REASONS = {
    OrderType.LIMIT_MAKER: ReasonCode.STRAT_MAKER_REPRICE,
    OrderType.LIMIT: ReasonCode.STRAT_FALLBACK_IOC,
    OrderType.MARKET: ReasonCode.STRAT_FALLBACK_MARKET,
}


async def weigh(
    ports: ExecutionPorts, decision: Decision, command: Weigh, qty: Decimal
) -> AttemptWeighed:
    """The attempt's decision and size, never larger than `qty`, or the reason to end the entry."""
    snapshot = await _snapshot(ports, decision.symbol)
    if snapshot is None:
        return _away(decision, command, ReasonCode.STRAT_ENTRY_TIMEOUT)
    taker = command.order_type is not OrderType.LIMIT_MAKER
    if taker and not _caps_hold(ports, snapshot):
        return _away(decision, command, ReasonCode.STRAT_FALLBACK_BLOCKED)
    price = snapshot.prices.best_ask if taker else snapshot.prices.best_bid
    again = ports.strategy.reevaluate(
        snapshot, ports.settings, decision, price=price, attempt=command.attempt
    )
    edge_floor = ports.settings.strategy.min_edge_bps_fallback if taker else 0
    if not again.holds or again.edge_bps_expected < edge_floor:
        return _away(decision, command, ReasonCode.STRAT_ENTRY_ABORTED_COST)
    proposed = _decision_of(ports, decision, snapshot, again, min(qty, again.qty))
    if proposed is None:
        return _away(decision, command, ReasonCode.STRAT_EXIT_INVALID)
    verdict = await _verdict(ports, proposed, snapshot)
    if verdict is None or verdict.verdict is Verdict.BLOCK:
        reason = verdict.reasons[0] if verdict is not None else ReasonCode.STRAT_ENTRY_TIMEOUT
        return _away(decision, command, reason)
    await _record(ports, proposed, snapshot, command)
    return AttemptWeighed(
        symbol=decision.symbol,
        decision_id=decision.decision_id,
        attempt=command.attempt,
        decision=msgspec.structs.replace(proposed, risk_verdict=verdict),
        qty=min(qty, again.qty, verdict.approved_qty),
        reason=_ATTEMPT_REASONS[command.order_type],
    )


async def _snapshot(ports: ExecutionPorts, symbol: str) -> Snapshot | None:
    reply: Reply[SnapshotsBuilt] = Reply()
    with ports.clock.move_on_after(_ANSWER_LIMIT_S):
        await ports.market_state.send(
            SnapshotsAsked(cycle_id=ports.cycles.next(), symbols=(symbol,), reply=reply)
        )
        built = await reply.wait()
        return next((s for s in built.snapshots if s.symbol == symbol), None)
    return None


async def _verdict(
    ports: ExecutionPorts, decision: Decision, snapshot: Snapshot
) -> RiskVerdict | None:
    reply: Reply[RiskVerdict] = Reply()
    with ports.clock.move_on_after(_ANSWER_LIMIT_S):
        await ports.risk.send(RecheckAsked(decision=decision, snapshot=snapshot, reply=reply))
        return await reply.wait()
    return None


def _caps_hold(ports: ExecutionPorts, snapshot: Snapshot) -> bool:
    entry = ports.settings.entry
    return (
        snapshot.microstructure.spread_current_bps <= entry.fallback_max_spread_bps
        and snapshot.cost_inputs.slippage_est_entry_taker_bps <= entry.max_slippage_bps
    )


def _decision_of(
    ports: ExecutionPorts,
    decision: Decision,
    snapshot: Snapshot,
    again: Reevaluation,
    qty: Decimal,
) -> Decision | None:
    """The decision with this attempt's prices and size and its old id; None without valid exits."""
    plan, exits = decision.entry_plan, decision.exit_plan
    if plan is None or exits is None or not again.sl_price < again.price < again.tp_price:
        return None
    trigger = again.trailing_trigger_price or quantize_price(
        exits.trailing_trigger_price * again.price / plan.limit_price, snapshot.constraints
    )
    return msgspec.structs.replace(
        decision,
        ts_ms=ports.clock.now_ms(),
        entry_plan=msgspec.structs.replace(
            plan, desired_price=again.price, limit_price=again.price, qty=qty
        ),
        exit_plan=msgspec.structs.replace(
            exits,
            tp_price=again.tp_price,
            sl_price=again.sl_price,
            trailing_trigger_price=(
                ZERO if exits.trailing_mode is TrailingMode.OFF else max(trigger, again.price)
            ),
        ),
        edge_bps_expected=again.edge_bps_expected,
        sl_bps=again.sl_bps,
        tp_bps=again.tp_bps,
        snapshot_id=snapshot.snapshot_id,
        snapshot_hash=snapshot.snapshot_hash,
        constraints=snapshot.constraints,
    )


async def _record(
    ports: ExecutionPorts, decision: Decision, snapshot: Snapshot, command: Weigh
) -> None:
    """Store the snapshot of this attempt as durably as that of the first one."""
    now = ports.clock.now_ms()
    draft = AuditDraft(
        event_type=EventType.SNAPSHOT_BUILT,
        stage=Stage.EXECUTE_INTENT,
        ts_ms=now,
        reasons=(_ATTEMPT_REASONS[command.order_type],),
        snapshot_id=snapshot.snapshot_id,
        decision_id=decision.decision_id,
        symbol=decision.symbol,
        exchange_time_ms=snapshot.exchange_time_ms,
        data={"attempt": command.attempt, "order_type": command.order_type.value},
    )
    row = SnapshotRow(
        snapshot_id=snapshot.snapshot_id,
        snapshot_hash=snapshot.snapshot_hash,
        symbol=snapshot.symbol,
        cycle_id=decision.cycle_id,
        exchange_time_ms=snapshot.exchange_time_ms,
        snapshot_json=snapshot_json(snapshot).decode(),
        at_ms=now,
    )
    await ports.audit.commit(AuditEntry(draft=draft, records=(row,)))


def _away(decision: Decision, command: Weigh, reason: ReasonCode) -> AttemptWeighed:
    return AttemptWeighed(
        symbol=decision.symbol,
        decision_id=decision.decision_id,
        attempt=command.attempt,
        decision=None,
        qty=ZERO,
        reason=reason,
    )
