"""The audit entries and rows of a decision cycle."""

from collections.abc import Sequence

from livespot.actors.mail import CandleClosed, ProposalEnded, SnapshotsBuilt
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Rejection, Snapshot
from livespot.contracts.records import CandleRow, DecisionRow, SnapshotRow
from livespot.contracts.vocabulary import EventType, Interval, Stage
from livespot.rules.snapshot import snapshot_json
from livespot.rules.strategy import Blocked

PROPOSED = "PROPOSED"
BLOCKED = "BLOCKED"
ENDED = "ENDED"


def proposal_entries(decision: Decision, snapshot: Snapshot) -> tuple[AuditEntry, AuditEntry]:
    """The snapshot that a proposal was made from, then the proposal."""
    built = AuditEntry(
        draft=AuditDraft(
            event_type=EventType.SNAPSHOT_BUILT,
            stage=Stage.STATE_UPDATE,
            ts_ms=decision.ts_ms,
            cycle_id=decision.cycle_id,
            snapshot_id=snapshot.snapshot_id,
            symbol=snapshot.symbol,
            exchange_time_ms=snapshot.exchange_time_ms,
            local_received_ms=snapshot.local_received_ms,
            data={"snapshot_hash": snapshot.snapshot_hash, "config_hash": snapshot.config_hash},
        ),
        records=(
            SnapshotRow(
                snapshot_id=snapshot.snapshot_id,
                snapshot_hash=snapshot.snapshot_hash,
                symbol=snapshot.symbol,
                cycle_id=decision.cycle_id,
                exchange_time_ms=snapshot.exchange_time_ms,
                snapshot_json=snapshot_json(snapshot).decode(),
                at_ms=decision.ts_ms,
            ),
        ),
    )
    proposed = AuditEntry(
        draft=AuditDraft(
            event_type=EventType.DECISION_PROPOSED,
            stage=Stage.STRATEGY_PROPOSE,
            ts_ms=decision.ts_ms,
            cycle_id=decision.cycle_id,
            reasons=decision.reasons,
            snapshot_id=decision.snapshot_id,
            decision_id=decision.decision_id,
            symbol=decision.symbol,
            exchange_time_ms=snapshot.exchange_time_ms,
            local_received_ms=snapshot.local_received_ms,
            data={
                "outcome": PROPOSED,
                "regime": decision.regime.value,
                "edge_score_x10000": decision.edge_score_x10000,
                "edge_bps_expected": decision.edge_bps_expected,
                "breakeven_hit_x10000": decision.breakeven_hit_x10000,
                "sl_bps": decision.sl_bps,
                "tp_bps": decision.tp_bps,
                "limit_price": decision.entry_plan.limit_price if decision.entry_plan else None,
                "qty": decision.entry_plan.qty if decision.entry_plan else None,
            },
        ),
        records=(
            DecisionRow(
                decision_id=decision.decision_id,
                cycle_id=decision.cycle_id,
                symbol=decision.symbol,
                outcome=PROPOSED,
                snapshot_id=decision.snapshot_id,
                edge_score_x10000=decision.edge_score_x10000,
                edge_bps_expected=decision.edge_bps_expected,
                reasons=decision.reasons,
                decision_json=canonical_json(decision).decode(),
                original_decision_id="",
                at_ms=decision.ts_ms,
            ),
        ),
    )
    return built, proposed


def block_entry(blocked: Blocked, cycle_id: str, at_ms: int) -> AuditEntry:
    """A block has no id and no stored snapshot; the row holds its hash and measurements."""
    detail = {
        "regime": blocked.regime.value,
        "features": blocked.features,
        "passed": [code.value for code in blocked.passed],
        "snapshot_hash": blocked.snapshot_hash,
    }
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.DECISION_PROPOSED,
            stage=Stage.STRATEGY_PROPOSE,
            ts_ms=at_ms,
            cycle_id=cycle_id,
            reasons=blocked.reasons,
            snapshot_id=blocked.snapshot_id,
            symbol=blocked.symbol,
            data={"outcome": BLOCKED, **detail},
        ),
        records=(
            DecisionRow(
                decision_id="",
                cycle_id=cycle_id,
                symbol=blocked.symbol,
                outcome=BLOCKED,
                snapshot_id=blocked.snapshot_id,
                edge_score_x10000=blocked.edge_score_x10000,
                edge_bps_expected=blocked.edge_bps_expected,
                reasons=blocked.reasons,
                decision_json=canonical_json(detail).decode(),
                original_decision_id="",
                at_ms=at_ms,
            ),
        ),
    )


def unanswered(symbols: Sequence[str]) -> SnapshotsBuilt:
    """A rejection for each symbol, for the case that market state did not answer in time."""
    return SnapshotsBuilt(
        snapshots=(),
        rejections=tuple(
            Rejection(
                symbol=symbol,
                reasons=(ReasonCode.LOOP_STUCK_DEGRADE,),
                detail="market state did not answer in time",
            )
            for symbol in symbols
        ),
    )


def ended_entry(ended: ProposalEnded, at_ms: int) -> AuditEntry:
    """The end of a proposal; without reasons it ran its whole course."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.DECISION_PROPOSED,
            stage=Stage.STRATEGY_PROPOSE,
            ts_ms=at_ms,
            reasons=ended.reasons,
            decision_id=ended.decision_id,
            symbol=ended.symbol,
            data={"outcome": ENDED},
        )
    )


def rejection_entry(rejection: Rejection, cycle_id: str, at_ms: int) -> AuditEntry:
    """Why a symbol without a valid snapshot is left out of this cycle."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.UNIVERSE_ELIGIBILITY,
            stage=Stage.STATE_UPDATE,
            ts_ms=at_ms,
            cycle_id=cycle_id,
            reasons=tuple(ReasonCode(reason) for reason in rejection.reasons),
            symbol=rejection.symbol,
            data={"detail": rejection.detail[:400]},
        )
    )


def candles_entry(closed: Sequence[CandleClosed], now_ms: int) -> AuditEntry:
    """Closed 1m candles of watched and held symbols."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.STAGE_CHANGED,
            stage=Stage.STATE_UPDATE,
            ts_ms=now_ms,
            data={"candles": [message.symbol for message in closed]},
        ),
        records=tuple(
            CandleRow(symbol=message.symbol, interval=Interval.M1, candle=candle)
            for message in closed
            for candle in message.candles
        ),
    )
