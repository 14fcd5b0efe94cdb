"""The ledger reads back exactly what was written."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.market import Candle
from livespot.contracts.orders import Alias
from livespot.contracts.queries import LedgerReader
from livespot.contracts.records import (
    AlertRow,
    AliasAdded,
    CandleRow,
    CycleRanking,
    CycleSelection,
    DailySummaryRow,
    DecisionRow,
    GateEventRow,
    HealthSample,
    OperatorCommandRow,
    ReconcileRow,
    Record,
    ReserveRow,
    RiskCounters,
    RiskVerdictRow,
    RunEnded,
    SnapshotRow,
    SymbolHealth,
    SysModeRow,
    UniverseScan,
)
from livespot.contracts.system import Alert, OperatorCommand, ReconcileDiff, ReconcileReport
from livespot.contracts.vocabulary import (
    GateVerdict,
    IntentRole,
    IntentState,
    Interval,
    Mode,
    OperatorAction,
    OrderStatus,
    PositionPhase,
    Severity,
    SysMode,
    Verdict,
)
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing.ledger_rows import (
    NOW_MS,
    RUN,
    chain,
    created,
    fill,
    fresh,
    intent,
    moved,
    opened,
    order,
    order_list,
    position,
    run_started,
)

COUNT = "SELECT count(*) FROM {}"
WHY = (ReasonCode.RISK_OK,)
RESERVE = ReserveRow(
    decision_id="dec_1",
    symbol="BTCUSDT",
    state="BOUND",
    amount_quote=Decimal("100.00"),
    order_intent_id="oi_a",
    expires_at_ms=NOW_MS + 1,
    updated_at_ms=NOW_MS,
)
HEALTH = SymbolHealth(
    symbol="BTCUSDT", quarantined_until_ms=1, cause="REJECTS", counters_json="{}", updated_at_ms=2
)
OTHERS: tuple[Record, ...] = (
    UniverseScan(
        cycle_id="c", symbol="A", eligible=True, reasons=(), features_json="{}", at_ms=1
    ),
    CycleRanking(
        cycle_id="c", kind="TOPN", rank=1, symbol="A", score_x10000=9, dropped=False, reasons=WHY,
        features_json="{}", config_hash="h", at_ms=1,
    ),
    CycleSelection(
        cycle_id="c", rank=1, symbol="A", score_x10000=9, chosen=True, incumbent_cycles=2,
        reasons=(), features_json="{}", config_hash="h", at_ms=1,
    ),
    GateEventRow(
        cycle_id="c", decision_id="dec_1", snapshot_id="s", snapshot_hash="h", input_hash="i",
        raw_hash="r", prompt_hash="p", enabled=True, verdict=GateVerdict.ALLOW, reasons=(),
        model="m", latency_ms=5, modify_applied=False, patch_redacted="", error_code="",
        error_detail_redacted="", at_ms=1,
    ),
    RiskVerdictRow(
        decision_id="dec_1", cycle_id="c", symbol="A", verdict=Verdict.ALLOW,
        approved_qty=Decimal("1.0"), reasons=WHY, limits_json="{}", account_json="{}",
        counters_json="{}", at_ms=1,
    ),
    CandleRow(
        symbol="A", interval=Interval.M1,
        candle=Candle(open_time_ms=0, open=Decimal(2), high=Decimal(3), low=Decimal(1),
                      close=Decimal(2), volume=Decimal("0.0000001")),
    ),
    HealthSample(at_ms=1, sample_json="{}"),
    ReconcileRow(
        report=ReconcileReport(
            started_at_ms=1, duration_ms=2, drift_score_x10000=5000, label="WARN", scope="ALL",
            diffs=(ReconcileDiff(mismatch="MISSING_FILL", symbol="A", subject="7", before="1",
                                 after="2", score_x10000=5000, corrected=True),),
        ),
        cycle_id="c",
    ),
    AlertRow(
        alert=Alert(severity=Severity.CRIT, code=ReasonCode.ENTER_PAUSE, reasons=WHY, text="t")
    ),
    OperatorCommandRow(
        command=OperatorCommand(action=OperatorAction.PAUSE, reason="r", nonce="n", at_ms=1),
        outcome="DONE",
    ),
    DailySummaryRow(day="2026-01-01", summary_json="{}", at_ms=1),
)  # fmt: skip


async def written(path: Path, *rows: Record) -> LedgerReader:
    database = await opened(path)
    await database.transaction(rows)
    await database.close()
    return LedgerQueries(ReadOnlyDatabase(path))


async def test_an_empty_database_has_no_last_run(tmp_path: Path) -> None:
    reader = LedgerQueries(ReadOnlyDatabase(fresh(tmp_path)))

    assert await reader.last_run() is None
    assert await reader.quick_unclean_runs(since_ms=0) == 0
    assert await reader.risk_counters() is None


async def test_a_run_killed_before_its_first_mode_was_in_the_mode_left_to_it(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    paused = SysModeRow(
        run_id=RUN, mode=SysMode.PAUSE, previous=SysMode.NORMAL, reasons=WHY, active_json="[]",
        at_ms=1,
    )  # fmt: skip
    database = await opened(path)
    await database.transaction([run_started(), paused, run_started("run_next", NOW_MS + 1)])
    await database.close()

    last = await LedgerQueries(ReadOnlyDatabase(path)).last_run()

    assert last is not None
    assert (last.run_id, last.sysmode) == ("run_next", SysMode.PAUSE)


async def test_the_last_run_says_how_it_stands(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    events = chain(3)
    mode = SysModeRow(
        run_id=RUN, mode=SysMode.PAUSE, previous=SysMode.NORMAL, reasons=WHY, active_json="[]",
        at_ms=1,
    )  # fmt: skip
    database = await opened(path)
    await database.transaction([*events, run_started(), mode])
    reader = LedgerQueries(ReadOnlyDatabase(path))

    killed = await reader.last_run()
    unclean = await reader.quick_unclean_runs(since_ms=NOW_MS)
    await database.transaction(
        [RunEnded(run_id=RUN, ended_at_ms=9, exit_code=10, reasons=WHY, clean=True)]
    )
    ended = await reader.last_run()
    await database.close()

    assert killed is not None
    assert (killed.ended, killed.mode, killed.sysmode) == (False, Mode.SIM, SysMode.PAUSE)
    assert (killed.last_seq, killed.last_hash) == (3, events[-1].hash)
    assert unclean == 1
    assert ended is not None
    assert (ended.ended, ended.exit_code) == (True, 10)
    assert await reader.quick_unclean_runs(since_ms=NOW_MS) == 0


async def test_intents_come_back_with_their_aliases_and_latest_facts(tmp_path: Path) -> None:
    sent = moved(IntentState.CREATED, IntentState.SENT_UNKNOWN)
    reader = await written(
        fresh(tmp_path),
        created("a", "X_leg"),
        created("b"),
        moved(IntentState.CREATED, IntentState.FAILED_TERMINAL, "b"),
        sent,
        AliasAdded(
            alias=Alias(client_order_id="X_c", order_intent_id="oi_a", role=IntentRole.CANCEL)
        ),
    )

    unsettled = await reader.unsettled_intents()

    assert [found.order_intent_id for found in unsettled] == ["oi_a"]
    assert unsettled[0].state is IntentState.SENT_UNKNOWN
    assert unsettled[0].attempts == 1
    assert unsettled[0].payload == intent().payload
    assert unsettled[0].exchange_list_id == -1
    assert await reader.intent("oi_none") is None
    assert len(await reader.intents_of_decision("dec_1")) == 2
    assert [alias.client_order_id for alias in await reader.aliases_of("oi_a")] == [
        "X_a", "X_leg", "X_c",
    ]  # fmt: skip
    found = await reader.alias("X_leg")
    assert found is not None
    assert found.order_intent_id == "oi_a"
    assert await reader.alias("X_none") is None


async def test_orders_fills_and_positions_come_back_as_they_were(tmp_path: Path) -> None:
    held, gone = position(), position("pos_0", PositionPhase.FLAT)
    reader = await written(
        fresh(tmp_path), order(OrderStatus.PARTIALLY_FILLED, "1.50"), order_list(), fill(1),
        fill(2), gone, held,
    )  # fmt: skip

    (stored,) = await reader.open_orders()
    assert stored.order == order(OrderStatus.PARTIALLY_FILLED, "1.50").order
    assert (stored.order_intent_id, stored.role) == ("oi_a", "ENTRY")
    assert await reader.open_positions() == (held.position,)
    fills = await reader.fills_of_decision("dec_1")
    assert [found.fill for found in fills] == [fill(1).fill, fill(2).fill]
    assert fills[0].fee_quote == Decimal("0.15015")
    assert await reader.trade_ids("BTCUSDT") == {1, 2}


async def test_risk_memory_comes_back(tmp_path: Path) -> None:
    released = ReserveRow(
        decision_id="dec_2", symbol="A", state="RELEASED", amount_quote=Decimal(1),
        order_intent_id="", expires_at_ms=0, updated_at_ms=0,
    )  # fmt: skip
    reader = await written(
        fresh(tmp_path), RESERVE, released, HEALTH,
        RiskCounters(counters_json='{"a":1}', updated_at_ms=1),
        RiskCounters(counters_json='{"a":2}', updated_at_ms=2),
    )  # fmt: skip

    assert await reader.reserves() == (RESERVE,)
    assert await reader.symbol_health() == (HEALTH,)
    assert await reader.risk_counters() == '{"a":2}'


async def test_calls_of_the_gate_come_back_without_those_that_never_left(tmp_path: Path) -> None:
    asked = next(row for row in OTHERS if isinstance(row, GateEventRow))
    replace = msgspec.structs.replace
    rows = (
        replace(asked, at_ms=10),
        replace(asked, at_ms=20, verdict=GateVerdict.ERROR, error_code="AIGATE_TIMEOUT"),
        replace(asked, at_ms=30, error_code="AIGATE_BUDGET", latency_ms=0),
        replace(asked, at_ms=40, enabled=False),
        replace(asked, at_ms=50),
    )
    path = fresh(tmp_path)
    reader = await written(path, *rows)
    queries = LedgerQueries(ReadOnlyDatabase(path))

    assert await reader.gate_calls(since_ms=11) == (20, 50)
    assert await queries.gate_events(RUN) == (rows[0], rows[1], rows[2], rows[4])


async def test_decision_and_snapshot_texts_come_back(tmp_path: Path) -> None:
    snapshot = SnapshotRow(
        snapshot_id="s", snapshot_hash="h", symbol="A", cycle_id="c", exchange_time_ms=1,
        snapshot_json='{"x":"1.0"}', at_ms=1,
    )  # fmt: skip
    decision = DecisionRow(
        decision_id="d", cycle_id="c", symbol="A", outcome="PROPOSED", snapshot_id="s",
        edge_score_x10000=1, edge_bps_expected=2, reasons=WHY, decision_json='{"y":2}',
        original_decision_id="", at_ms=1,
    )  # fmt: skip
    reader = await written(fresh(tmp_path), snapshot, snapshot, decision, decision)

    assert await reader.snapshot_json("s") == '{"x":"1.0"}'
    assert await reader.decision_json("d") == '{"y":2}'
    assert await reader.decision_json("none") is None


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: type(row).__name__)
async def test_every_other_row_is_stored(tmp_path: Path, row: Record) -> None:
    path = fresh(tmp_path)
    await written(path, row)
    reader = ReadOnlyDatabase(path)
    tables = (
        "universe_scans", "cycle_rankings", "cycle_selections", "ai_gate_events", "risk_verdicts",
        "candles", "health_samples", "reconcile_reports", "alerts", "operator_commands",
        "daily_summaries",
    )  # fmt: skip

    counts = [(await reader.rows(COUNT.format(table)))[0][0] for table in tables]

    assert sum(counts) == 1


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = fresh(tmp_path)

    with pytest.raises(AuditUnwritable, match="readonly"):
        await ReadOnlyDatabase(path).rows("DELETE FROM runs")
