"""A run worth looking at, written into a real audit database row by row."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from livespot.contracts.audit import AuditDraft
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Candle
from livespot.contracts.records import (
    AlertRow,
    CandleRow,
    CycleSelection,
    DecisionRow,
    GateEventRow,
    HealthSample,
    PositionRow,
    ReconcileRow,
    Record,
    RiskVerdictRow,
    RunEnded,
    SysModeRow,
)
from livespot.contracts.redaction import Redactor
from livespot.contracts.system import Alert, ReconcileDiff, ReconcileReport
from livespot.contracts.vocabulary import (
    EventType,
    GateVerdict,
    IntentState,
    Interval,
    Mode,
    PositionPhase,
    Severity,
    Stage,
    SysMode,
    Verdict,
)
from livespot.store.connection import Database
from livespot.testing import ledger_rows as rows

RUN = rows.RUN
START_MS = rows.NOW_MS
NOW_MS = START_MS + 600_000
_STAGES = (Stage.UNIVERSE_SCAN, Stage.RANK_TOPN, Stage.DEEP_SCAN, Stage.STRATEGY_PROPOSE)


async def write(path: Path, *records: Record | SealedEvent) -> None:
    """Put rows into a migrated database, in one transaction."""
    database = await Database.open(path, run_id=RUN, redactor=Redactor())
    try:
        await database.transaction(list(records))
    finally:
        await database.close()


async def told(path: Path) -> None:
    """A run in NORMAL with one protected position, decisions, intents, alerts and samples."""
    await write(
        path,
        rows.run_started(),
        *events(),
        mode(SysMode.NORMAL, ()),
        *samples(),
        *watchlist(("BTCUSDT", "ETHUSDT", "ADAUSDT")),
        *decisions(),
        *intents(),
        rows.order(),
        rows.order_list(),
        rows.fill(),
        rows.position(),
        closed_position("pos_0", "4.20"),
        candle("101.40"),
        reconcile(),
        alert(Severity.INFO, ReasonCode.ENTER_NORMAL, "DEGRADE -> NORMAL", at_ms=NOW_MS - 500_000),
        alert(Severity.WARN, ReasonCode.REST_STALE_DEGRADE, "No REST answer for 12 s"),
    )


def events() -> list[SealedEvent]:
    """Four stages of twelve cycles, chained from the run's first event."""
    sealed: list[SealedEvent] = []
    for number in range(1, 49):
        cycle = (number + 3) // 4
        draft = AuditDraft(
            event_type=EventType.STAGE_CHANGED,
            stage=_STAGES[(number - 1) % 4],
            ts_ms=NOW_MS - (49 - number) * 1200,
            cycle_id=f"cyc_{cycle:04d}",
            decision_id="dec_1" if number == 40 else "",
        )
        sealed.append(_sealed(draft, number, sealed[-1].hash if sealed else ""))
    return sealed


def _sealed(draft: AuditDraft, seq: int, prev: str) -> SealedEvent:
    place = Place(run_id=RUN, mode=Mode.SIM, seq=seq, ts_ms=draft.ts_ms, prev_hash=prev)
    return seal(draft, b"{}", place)


def mode(
    now: SysMode, active: Sequence[dict[str, object]], *, at_ms: int = NOW_MS - 500_000
) -> SysModeRow:
    return SysModeRow(
        run_id=RUN,
        mode=now,
        previous=SysMode.DEGRADE,
        reasons=(),
        active_json=msgspec.json.encode(active).decode(),
        at_ms=at_ms,
    )


def reason(code: ReasonCode, detail: str = "") -> dict[str, object]:
    """One entry of a mode's active reasons, as the governor stores it."""
    return {
        "code": code,
        "kind": "REST_STALE",
        "level": "DEGRADE",
        "source": "rest",
        "since_ms": NOW_MS - 12_000,
        "value": 12_000,
        "threshold": 10_000,
        "unit": "ms",
        "detail": detail,
        "count": 2,
    }


def alert(severity: Severity, code: ReasonCode, text: str, *, at_ms: int = NOW_MS) -> AlertRow:
    return AlertRow(
        alert=Alert(severity=severity, code=code, reasons=(), text=text, at_ms=at_ms - 9000)
    )


def samples(count: int = 30) -> list[HealthSample]:
    """Measurements every ten seconds, the newest at the present."""
    return [_sample(NOW_MS - 10_000 * (count - 1 - number), number) for number in range(count)]


def _sample(at_ms: int, number: int) -> HealthSample:
    wave = (number * 37) % 11
    figures = {
        "disk_free_bytes": 48_318_382_080 - number * 4_000_000,
        "db_bytes": 6_000_000 + number * 140_000,
        "wal_bytes": 400_000 + wave * 180_000,
        "rss_bytes": 118_000_000 + wave * 900_000,
        "cpu_percent_x100": 900 + wave * 210,
        "writer_depth": wave // 2,
        "writer_lag_ms": 2 + wave,
        "writer_oldest_ms": 0,
        "writer_commits": number * 40,
        "writer_failed": 0,
        "stream_age_ms": 140,
        "rest_age_ms": None,
        "clock_offset_ms": -12,
        "used_weight": 214,
        "weight_limit": 6000,
        "unfilled_orders_pct": 4,
        "mailboxes": [
            {
                "name": name,
                "policy": "block",
                "capacity": 64,
                "depth": wave % 5 * size,
                "high_water": 9 * size,
                "oldest_age_ms": 0,
                "received": 1000 * size,
                "dropped": 0,
            }
            for size, name in enumerate(("governor", "gate", "risk", "execution", "position"), 1)
        ],
    }
    return HealthSample(at_ms=at_ms, sample_json=msgspec.json.encode(figures).decode())


def watchlist(symbols: Sequence[str]) -> list[CycleSelection]:
    return [
        CycleSelection(
            cycle_id="cyc_0012",
            rank=rank,
            symbol=symbol,
            score_x10000=8200 - 900 * rank,
            chosen=True,
            incumbent_cycles=7 - rank,
            reasons=(),
            features_json="{}",
            config_hash="c",
            at_ms=NOW_MS - 8000,
        )
        for rank, symbol in enumerate(symbols, 1)
    ]


def decisions() -> list[Record]:
    """A proposal the gate and risk allowed, and two blocks."""
    return [
        decision("dec_1", "BTCUSDT", "PROPOSED", (ReasonCode.STRAT_OK,), bps=38),
        gate_answer("dec_1"),
        risk_verdict("dec_1"),
        decision(
            "",
            "ETHUSDT",
            "BLOCKED",
            (ReasonCode.STRAT_EDGE_BELOW_MIN, ReasonCode.STRAT_PULLBACK_FAIL),
            bps=-6,
        ),
        decision("", "ADAUSDT", "BLOCKED", (ReasonCode.STRAT_SPREAD_TOO_WIDE,), bps=-14),
    ]


def decision(
    decision_id: str, symbol: str, outcome: str, reasons: tuple[ReasonCode, ...], *, bps: int
) -> DecisionRow:
    return DecisionRow(
        decision_id=decision_id,
        cycle_id="cyc_0012",
        symbol=symbol,
        outcome=outcome,
        snapshot_id=f"snap_{symbol}",
        edge_score_x10000=5100 + bps * 40,
        edge_bps_expected=bps,
        reasons=reasons,
        decision_json='{"regime":"TREND"}',
        original_decision_id="",
        at_ms=NOW_MS - 4000,
    )


def gate_answer(decision_id: str) -> GateEventRow:
    return GateEventRow(
        cycle_id="cyc_0012",
        decision_id=decision_id,
        snapshot_id="snap_BTCUSDT",
        snapshot_hash="s",
        input_hash="i",
        raw_hash="r",
        prompt_hash="p",
        enabled=True,
        verdict=GateVerdict.ALLOW,
        reasons=(ReasonCode.AIGATE_ALLOWED,),
        model="embedded",
        latency_ms=210,
        modify_applied=False,
        patch_redacted="",
        error_code="",
        error_detail_redacted="",
        at_ms=NOW_MS - 3500,
    )


def risk_verdict(decision_id: str) -> RiskVerdictRow:
    return RiskVerdictRow(
        decision_id=decision_id,
        cycle_id="cyc_0012",
        symbol="BTCUSDT",
        verdict=Verdict.ALLOW,
        approved_qty=Decimal("1.50"),
        reasons=(ReasonCode.RISK_OK,),
        limits_json="{}",
        account_json="{}",
        counters_json="{}",
        at_ms=NOW_MS - 3400,
    )


def intents() -> list[Record]:
    """One confirmed, one whose outcome is unknown, one only created."""
    return [
        rows.created("a"),
        rows.moved(IntentState.CREATED, IntentState.SENT_UNKNOWN, "a"),
        rows.moved(IntentState.SENT_UNKNOWN, IntentState.CONFIRMED, "a"),
        rows.created("b"),
        rows.moved(IntentState.CREATED, IntentState.SENT_UNKNOWN, "b"),
        rows.created("c"),
    ]


def closed_position(position_id: str, realised: str) -> PositionRow:
    open_one = rows.position(position_id).position
    return PositionRow(
        position=msgspec.structs.replace(
            open_one,
            phase=PositionPhase.FLAT,
            qty=Decimal(0),
            realised_quote=Decimal(realised),
            closed_at_ms=NOW_MS - 120_000,
        )
    )


def candle(close: str) -> CandleRow:
    price = Decimal(close)
    return CandleRow(
        symbol="BTCUSDT",
        interval=Interval.M1,
        candle=Candle(
            open_time_ms=NOW_MS - 60_000,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=Decimal(1),
        ),
    )


def reconcile() -> ReconcileRow:
    return ReconcileRow(
        report=ReconcileReport(
            started_at_ms=NOW_MS - 15_000,
            duration_ms=84,
            drift_score_x10000=120,
            label="OK",
            scope="all",
            diffs=(
                ReconcileDiff(
                    mismatch="MISSED_FILL",
                    symbol="BTCUSDT",
                    subject="order 7",
                    before="0.00",
                    after="1.50",
                    score_x10000=120,
                    corrected=True,
                ),
            ),
        ),
        cycle_id="cyc_0012",
    )


def ended(*, clean: bool, exit_code: int = 0) -> RunEnded:
    return RunEnded(run_id=RUN, ended_at_ms=NOW_MS, exit_code=exit_code, reasons=(), clean=clean)
