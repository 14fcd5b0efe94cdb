"""Reads the rows that one day's summary is computed from, and which day was summed up last."""

import msgspec

from livespot.contracts.day import DayRows, ModeStep, RunSpan
from livespot.contracts.orders import Position
from livespot.store.reader import Reader, Row, first
from livespot.store.stored_rows import (
    SELECT_FILLS,
    SELECT_POSITIONS,
    stored_fill,
    stored_position,
)

_FILLS = SELECT_FILLS + (
    "WHERE exchange_time_ms >= ? AND exchange_time_ms < ? "
    "ORDER BY exchange_time_ms, symbol, trade_id"
)
_CLOSED = SELECT_POSITIONS + (
    "WHERE closed_at_ms >= ? AND closed_at_ms < ? ORDER BY closed_at_ms, symbol"
)
_OPEN = SELECT_POSITIONS + "WHERE phase NOT IN ('FLAT', 'DUST') ORDER BY symbol"
_DUST = SELECT_POSITIONS + "WHERE phase = 'DUST' ORDER BY symbol, position_id"
# The last event of a killed run is the last sign of its life.
_RUNS = """
SELECT run_id, started_at_ms, clean, ended_at_ms,
       (SELECT ts_ms FROM audit_events e WHERE e.run_id = r.run_id ORDER BY seq DESC LIMIT 1)
FROM runs r WHERE started_at_ms < ? AND (ended_at_ms = 0 OR ended_at_ms >= ?) ORDER BY rowid
"""
_MODES = "SELECT run_id, mode, at_ms FROM sysmodes WHERE run_id = ? ORDER BY id"
_ALERTS = """
SELECT severity, count(*) FROM alerts WHERE at_ms >= ? AND at_ms < ?
GROUP BY severity ORDER BY severity
"""
_SUMMARIES = "SELECT day, summary_json FROM daily_summaries WHERE day >= ? ORDER BY day"


async def read_day(reader: Reader, begin_ms: int, end_ms: int) -> DayRows:
    """Return everything that happened in [begin_ms, end_ms).

    Raises `StoreBusy`, `AuditUnwritable`.
    """
    span = (begin_ms, end_ms)
    runs = [_run(row) for row in await reader.rows(_RUNS, (end_ms, begin_ms))]
    steps = [step for run in runs for step in await reader.rows(_MODES, (run.run_id,))]
    return DayRows(
        fills=tuple(stored_fill(row) for row in await reader.rows(_FILLS, span)),
        closed=tuple(stored_position(row) for row in await reader.rows(_CLOSED, span)),
        open=await read_open_positions(reader),
        dust=tuple(stored_position(row) for row in await reader.rows(_DUST)),
        runs=tuple(runs),
        modes=tuple(ModeStep(run_id=run, mode=mode, at_ms=at_ms) for run, mode, at_ms in steps),
        alerts={str(name): int(count) for name, count in await reader.rows(_ALERTS, span)},
    )


async def read_open_positions(reader: Reader) -> tuple[Position, ...]:
    """Return the positions that are neither flat nor dust.

    Raises `StoreBusy`, `AuditUnwritable`.
    """
    return tuple(stored_position(row) for row in await reader.rows(_OPEN))


async def read_final_days(reader: Reader, since: str) -> tuple[str, ...]:
    """Return the days from `since` on whose summary is final, oldest first.

    Raises `StoreBusy`, `AuditUnwritable`.
    """
    rows = await reader.rows(_SUMMARIES, (since,))
    return tuple(str(day) for day, text in rows if msgspec.json.decode(text)["complete"])


async def read_first_start_ms(reader: Reader) -> int | None:
    """Return when the first run started, in epoch ms; None when there was no run."""
    row = await first(reader, "SELECT min(started_at_ms) FROM runs")
    return None if row is None or row[0] is None else int(row[0])


def _run(row: Row) -> RunSpan:
    run_id, started_ms, clean, ended_ms, last_ms = row
    until_ms = ended_ms if ended_ms and clean else last_ms or started_ms
    ongoing = not ended_ms
    return RunSpan(
        run_id=run_id, from_ms=started_ms, until_ms=until_ms, clean=bool(clean) or ongoing
    )
