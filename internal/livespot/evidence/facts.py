"""Reads what the database holds about a run, one short transaction per query."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.settings import VenueSettings
from livespot.evidence.pruned import lost_of
from livespot.evidence.rows import (
    AlertFact,
    AliasFact,
    CommandFact,
    Count,
    Course,
    DecisionFact,
    EventFact,
    Facts,
    FileCheck,
    FillFact,
    GateFact,
    IntentFact,
    ModeFact,
    OrderFact,
    PositionFact,
    ReconcileFact,
    RunCounts,
    RunFact,
    SnapshotFact,
    TransitionFact,
    VerdictFact,
)
from livespot.evidence.trail_walk import walk
from livespot.store.reader import Reader, Row, first

_Fact = TypeVar("_Fact", bound=Message)

_JSON = frozenset({"reasons", "end_reasons", "data"})
# Columns whose name differs from the field that they fill.
_EXPRESSIONS = {
    "diffs": "json_array_length(diffs_json)",
    "corrected": "(SELECT count(*) FROM json_each(diffs_json) WHERE value ->> 'corrected')",
    "last_event_ms": "coalesce((SELECT ts_ms FROM audit_events e WHERE e.run_id = runs.run_id "
    "ORDER BY seq DESC LIMIT 1), 0)",
}
_LOOKED_INTO = (
    "INTENT_STATE_CHANGED",
    "SYSMODE_CHANGED",
    "ALERT_RAISED",
    "ORDER_SUBMIT",
    "ORDER_CANCEL",
    "RUN_STARTED",
    "RUN_ENDED",
)
_DECISIONS = """
SELECT d.decision_id, d.run_id, d.symbol, d.outcome, d.snapshot_id,
       coalesce(json_extract(d.decision_json, '$.snapshot_hash'), ''),
       coalesce(json_extract(d.decision_json, '$.entry_plan.qty'), '0'),
       d.original_decision_id, d.at_ms,
       coalesce(json_extract(d.decision_json, '$.strategy_id'), ''),
       coalesce(json_extract(d.decision_json, '$.strategy_version'), ''),
       coalesce(json_extract(d.decision_json, '$.regime'), ''),
       coalesce(json_extract(d.decision_json, '$.mode'), '')
FROM decisions d WHERE d.outcome <> 'BLOCKED' ORDER BY d.id
"""
_FIRST_REASON = "coalesce(json_extract(reasons, '$[0]'), '(no reason)')"


async def read_facts(reader: Reader, trail_dir: Path, run_id: str) -> Facts:
    """Read everything that checks and summary need.

    Raises `StoreBusy`, `AuditUnwritable` and `OSError` when something cannot be read,
    `PayloadInvalid` when the database does not hold the run.
    """
    course = await read_course(reader, run_id)
    return Facts(
        **{name: getattr(course, name) for name in Course.__struct_fields__},
        quote_asset=_quote_asset(course.run().config_json),
        counts=await read_counts(reader, run_id),
        trail=await walk(reader, trail_dir),
        file=await _file(reader),
        aliases=await _all(reader, AliasFact, "intent_client_ids", "ORDER BY rowid"),
        orders=await _all(reader, OrderFact, "orders", "ORDER BY symbol, order_id"),
        commands=await _all(reader, CommandFact, "operator_commands", "ORDER BY at_ms, rowid"),
        decisions=_made(DecisionFact, await reader.rows(_DECISIONS)),
        snapshots=await _all(reader, SnapshotFact, "snapshots", "ORDER BY rowid"),
        gate=await _all(reader, GateFact, "ai_gate_events", "ORDER BY id"),
        verdicts=await _all(reader, VerdictFact, "risk_verdicts", "ORDER BY id"),
    )


async def read_course(reader: Reader, run_id: str) -> Course:
    """Read runs, modes, orders, positions and alerts, but neither the trail nor the file.

    Raises what `read_facts` raises for the database.
    """
    runs = await _all(reader, RunFact, "runs", "ORDER BY rowid")
    if not any(run.run_id == run_id for run in runs):
        raise PayloadInvalid(f"the database holds no run {run_id!r}")
    marks = ", ".join("?" * len(_LOOKED_INTO))
    return Course(
        run_id=run_id,
        runs=runs,
        intents=await _all(reader, IntentFact, "order_intents", "ORDER BY rowid"),
        transitions=await _all(reader, TransitionFact, "intent_transitions", "ORDER BY id"),
        fills=await _all(reader, FillFact, "fills", "ORDER BY exchange_time_ms, trade_id"),
        positions=await _all(reader, PositionFact, "positions", "ORDER BY opened_at_ms, rowid"),
        modes=await _all(reader, ModeFact, "sysmodes", "ORDER BY id"),
        alerts=await _all(reader, AlertFact, "alerts", "ORDER BY id"),
        reconciles=await _all(reader, ReconcileFact, "reconcile_reports", "ORDER BY id"),
        events=await _all(
            reader,
            EventFact,
            "audit_events",
            f"WHERE event_type IN ({marks}) ORDER BY id",
            _LOOKED_INTO,
        ),
    )


async def read_counts(reader: Reader, run_id: str) -> RunCounts:
    """Let the database count what was decided in one run."""
    outcomes: dict[str, int] = dict(
        await reader.rows(
            "SELECT outcome, count(*) FROM decisions WHERE run_id = ? GROUP BY outcome", (run_id,)
        )
    )
    events = await first(
        reader,
        "SELECT count(*), count(DISTINCT nullif(cycle_id, '')) FROM audit_events WHERE run_id = ?",
        (run_id,),
    )
    lost = await lost_of(reader, run_id)
    blocked_by = await _counted(reader, _FIRST_REASON, "decisions", "outcome = 'BLOCKED'", run_id)
    return RunCounts(
        events=(events[0] if events else 0) + lost.events,
        cycles=-1 if lost.events else events[1] if events else 0,
        proposed=outcomes.get("PROPOSED", 0),
        modified=outcomes.get("MODIFIED", 0),
        blocked=-1 if lost.judgements else outcomes.get("BLOCKED", 0),
        strategy_reasons=() if lost.judgements else blocked_by,
        gate_verdicts=await _counted(reader, "verdict", "ai_gate_events", "1", run_id),
        gate_reasons=await _counted(
            reader, _FIRST_REASON, "ai_gate_events", "verdict IN ('BLOCK', 'ERROR')", run_id
        ),
        risk_verdicts=await _counted(reader, "verdict", "risk_verdicts", "1", run_id),
        risk_reasons=await _counted(
            reader, _FIRST_REASON, "risk_verdicts", "verdict = 'BLOCK'", run_id
        ),
        pruned=lost.story,
    )


async def _counted(
    reader: Reader, what: str, table: str, where: str, run_id: str
) -> tuple[Count, ...]:
    found = await reader.rows(
        f"SELECT {what}, count(*) FROM {table} "  # noqa: S608  literals of this module
        f"WHERE run_id = ? AND {where} GROUP BY 1 ORDER BY 2 DESC, 1",
        (run_id,),
    )
    return tuple(Count(name=str(name), count=count) for name, count in found)


async def _all(
    reader: Reader, fact: type[_Fact], table: str, tail: str, values: Sequence[str] = ()
) -> tuple[_Fact, ...]:
    columns = ", ".join(
        _EXPRESSIONS.get(field.name, field.name) for field in msgspec.structs.fields(fact)
    )
    sql = f"SELECT {columns} FROM {table} {tail}"  # noqa: S608  literals of this module
    return _made(fact, await reader.rows(sql, values))


def _made(fact: type[_Fact], rows: Sequence[Row]) -> tuple[_Fact, ...]:
    names = [field.name for field in msgspec.structs.fields(fact)]
    return tuple(
        msgspec.convert(
            {name: _plain(name, value) for name, value in zip(names, row, strict=True)},
            fact,
            strict=False,
        )
        for row in rows
    )


def _plain(name: str, value: Any) -> Any:
    return msgspec.json.decode(value) if name in _JSON else value


async def _file(reader: Reader) -> FileCheck:
    integrity = await reader.rows("PRAGMA integrity_check")
    foreign = await reader.rows("PRAGMA foreign_key_check")
    journal_mode = await first(reader, "PRAGMA journal_mode")
    unique = await reader.rows(
        "SELECT 1 FROM pragma_index_list('order_intents') AS list, "
        "pragma_index_info(list.name) AS info "
        "WHERE list.\"unique\" = 1 AND info.name = 'client_order_id'"
    )
    return FileCheck(
        integrity=tuple(str(row[0]) for row in integrity),
        foreign_key_breaks=len(foreign),
        journal_mode=str(journal_mode[0]) if journal_mode else "",
        unique_client_ids=bool(unique),
    )


class _Venue(msgspec.Struct, frozen=True):
    quote_asset: str = VenueSettings().quote_asset


class _Config(msgspec.Struct, frozen=True):
    venue: _Venue = _Venue()


def _quote_asset(config_json: str) -> str:
    return msgspec.json.decode(config_json, type=_Config).venue.quote_asset


def net_base(fills: Sequence[FillFact], quote_asset: str) -> Decimal:
    """Return the base left after some fills of one symbol, less fees taken in base."""
    total = Decimal(0)
    for fill in fills:
        total += fill.qty if fill.side == "BUY" else -fill.qty
        if fill.commission_asset == fill.symbol.removesuffix(quote_asset):
            total -= fill.commission
    return total
