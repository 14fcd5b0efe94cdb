"""The default strategy, REGIME_PULLBACK_MAKER_V1: buy a dip inside a clear regime, patiently."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from livespot.contracts.amounts import BPS, ONE, ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import DecisionIntent, Mode, Side, Stage, TrailingMode
from livespot.rules import edge, planning, trailing
from livespot.rules.decision_ids import identified
from livespot.rules.pullback_checks import Assessment, assess
from livespot.rules.strategy import Blocked, Reevaluation

STRATEGY_ID = "REGIME_PULLBACK_MAKER_V1"
STRATEGY_VERSION = "1.0.0"
# Bound once: looking up an enum member costs more than a call.
_BUY, _ENTRY, _PROPOSED = Side.BUY, DecisionIntent.ENTRY, Stage.STRATEGY_PROPOSE
_WANTED = (ReasonCode.STRAT_ENTRY_MAKER_TTL, ReasonCode.STRAT_OK)


class _Cycle(NamedTuple):
    """The cycle a decision belongs to."""

    mode: Mode
    id: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class PullbackMaker:
    """Stateless; see `propose`."""

    id: str = STRATEGY_ID
    version: str = STRATEGY_VERSION

    def propose(
        self, snapshot: Snapshot, settings: Settings, *, mode: Mode, cycle_id: str, now_ms: int
    ) -> Decision | Blocked:
        """An ENTRY at the best bid, or every reason against one."""
        assessment = assess(snapshot, settings)
        if assessment.failed:
            return _blocked(snapshot, assessment, assessment.failed)
        levels = planning.levels_at(
            snapshot.prices.best_bid, assessment.exits, snapshot.constraints, settings.risk
        )
        flaws = _flaws_of(levels, snapshot)
        if flaws:
            return _blocked(snapshot, assessment, flaws)
        cycle = _Cycle(mode, cycle_id, now_ms)
        draft = self._draft(snapshot, settings, assessment, levels, cycle)
        return identified(draft, config_hash=snapshot.config_hash)

    def reevaluate(
        self,
        snapshot: Snapshot,
        settings: Settings,
        decision: Decision,
        *,
        price: Decimal,
        attempt: int,
    ) -> Reevaluation:
        """Run all checks again, with the cost, exits and size of this attempt's own price.

        The regime must be the one that was decided on, and the price must stay within the slippage
        allowed from the first one. The quantity never exceeds the approved one.
        """
        plan = decision.entry_plan
        if plan is None:
            raise ValueError(f"decision {decision.decision_id!r} has no entry to look at again")
        assessment = assess(snapshot, settings, taker_entry=attempt > plan.max_reprices)
        exits = _no_looser(assessment.exits, decision)
        levels = planning.levels_at(price, exits, snapshot.constraints, settings.risk)
        verdict = decision.risk_verdict
        cap = verdict.approved_qty if verdict is not None else plan.qty
        levels = planning.Levels(
            price=levels.price,
            tp_price=levels.tp_price,
            sl_price=levels.sl_price,
            qty=min(levels.qty, cap),
        )
        reasons = list(assessment.failed)
        if assessment.label is not decision.regime:
            reasons.append(ReasonCode.REGIME_MISMATCH)
        if levels.price > plan.limit_price * (ONE + _share(plan.fallback.max_slippage_bps)):
            reasons.append(ReasonCode.STRAT_ENTRY_ABORTED_COST)
        if exits.are_sane:
            # Without exits there are no levels, and the failed checks name the cause already.
            reasons += _flaws_of(levels, snapshot)
        return Reevaluation(
            holds=not reasons,
            reasons=tuple(reasons),
            price=levels.price,
            qty=levels.qty,
            tp_price=levels.tp_price,
            sl_price=levels.sl_price,
            sl_bps=exits.sl_bps,
            tp_bps=exits.tp_bps,
            cost_bps=assessment.cost_bps,
            edge_bps_expected=min(
                assessment.edge_bps, exits.tp_bps - exits.sl_bps - assessment.cost_bps
            ),
            trailing_trigger_price=_trigger_again(decision, exits, assessment, levels, settings),
        )

    def _draft(
        self,
        snapshot: Snapshot,
        settings: Settings,
        assessment: Assessment,
        levels: planning.Levels,
        cycle: "_Cycle",
    ) -> Decision:
        """The decision without its id and those of its orders."""
        fallback = planning.fallback_of(snapshot, assessment.edge_bps, settings)
        trail = trailing.resolve(
            snapshot, assessment.label, assessment.exits, assessment.cost_bps, settings.exit
        )
        return Decision(
            mode=cycle.mode,
            ts_ms=cycle.now_ms,
            symbol=snapshot.symbol,
            side=_BUY,
            intent=_ENTRY,
            entry_plan=planning.entry_plan(levels, fallback, settings, client_order_id=""),
            exit_plan=planning.exit_plan(levels, trail, snapshot.constraints),
            regime=assessment.label,
            edge_score_x10000=assessment.score_x10000,
            edge_bps_expected=assessment.edge_bps,
            breakeven_hit_x10000=edge.breakeven_hit_x10000(assessment.exits, assessment.cost_bps),
            sl_bps=assessment.exits.sl_bps,
            tp_bps=assessment.exits.tp_bps,
            reasons=(
                *assessment.passed,
                *planning.plan_codes(fallback, trail, settings),
                *_WANTED,
            ),
            snapshot_id=snapshot.snapshot_id,
            snapshot_hash=snapshot.snapshot_hash,
            decision_id="",
            cycle_id=cycle.id,
            stage=_PROPOSED,
            constraints=snapshot.constraints,
            strategy_id=self.id,
            strategy_version=self.version,
        )


def _flaws_of(levels: planning.Levels, snapshot: Snapshot) -> tuple[ReasonCode, ...]:
    """What rounding to the symbol's grid breaks: levels on one tick, or no valid size."""
    if not levels.are_sane:
        return (ReasonCode.STRAT_EXIT_INVALID,)
    if not planning.is_sendable(levels, snapshot.constraints):
        return (ReasonCode.RISK_SIZE_INVALID,)
    return ()


def _no_looser(exits: edge.Exits, decision: Decision) -> edge.Exits:
    """Exits that the gate has tightened stay at least as tight in every later attempt."""
    if decision.ai_gate is None or not decision.ai_gate.modify_applied:
        return exits
    return replace(
        exits,
        sl_bps=min(exits.sl_bps, decision.sl_bps),
        tp_bps=min(exits.tp_bps, decision.tp_bps),
    )


def _trigger_again(
    decision: Decision,
    exits: edge.Exits,
    assessment: Assessment,
    levels: planning.Levels,
    settings: Settings,
) -> Decimal:
    """Where this attempt's profit begins to trail; zero keeps the decision's own distance."""
    plan = decision.exit_plan
    gated = decision.ai_gate is not None and decision.ai_gate.modify_applied
    if plan is None or plan.trailing_mode is not TrailingMode.NATIVE or gated:
        return ZERO
    own = replace(exits, trailing_bps=plan.trailing_distance_bps)
    trail = trailing.Trail(
        mode=plan.trailing_mode,
        activation_bps=trailing.activation_bps(own, assessment.cost_bps, settings.exit),
        distance_bps=plan.trailing_distance_bps,
    )
    return trailing.trigger_at(levels.price, trail, decision.constraints)


def _blocked(
    snapshot: Snapshot, assessment: Assessment, reasons: tuple[ReasonCode, ...]
) -> Blocked:
    micro = snapshot.microstructure
    return Blocked(
        symbol=snapshot.symbol,
        regime=snapshot.regime.label,
        reasons=reasons,
        passed=assessment.passed,
        edge_score_x10000=assessment.score_x10000,
        edge_bps_expected=assessment.edge_bps,
        features={
            "trend_score_x10000": snapshot.regime.trend_score_x10000,
            "range_score_x10000": snapshot.regime.range_score_x10000,
            "spread_current_bps": micro.spread_current_bps,
            "delta_spread_bps_p90_10s": micro.delta_spread_bps_p90_10s,
            "imbalance_x10000": micro.bid_ask_imbalance_p50_10s_x10000,
            "volume_ratio_5m_x10000": snapshot.volume_ratio_5m_x10000,
            "pullback_x10000": int((assessment.pullback_bps * BPS).to_integral_value()),
            "atr14_5m_bps": snapshot.volatility.atr14_5m_bps,
            "sl_bps": assessment.exits.sl_bps,
            "tp_bps": assessment.exits.tp_bps,
            "cost_bps": assessment.cost_bps,
        },
        snapshot_id=snapshot.snapshot_id,
        snapshot_hash=snapshot.snapshot_hash,
    )


def _share(bps: int) -> Decimal:
    return Decimal(bps) / BPS
