"""Writes the summary of each UTC day when it is over, and of the current day at an orderly end.

Reads: what the ledger holds of a day, the exchange's time. Writes: DAILY_SUMMARY events with their
row, also for days that ended while nothing ran; an alert about dust to the governor. Owns: nothing.
"""

from dataclasses import dataclass
from typing import Protocol

import anyio
import msgspec
from anyio.abc import TaskStatus

from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.day import DayRows, DaySummary
from livespot.contracts.errors import StoreBusy
from livespot.contracts.ports import Clock
from livespot.contracts.records import DailySummaryRow
from livespot.contracts.system import Alert
from livespot.contracts.venue import ServerClock
from livespot.contracts.vocabulary import EventType, Severity, Stage
from livespot.rules.day_summary import (
    DAY_MS,
    day_of,
    days_due,
    is_final,
    next_close_ms,
    span_of,
    summarise,
)
from livespot.runtime.mailboxes import Mailbox

# The exchange's time may step, so the end of the day is checked at least this often.
_LOOK_SECONDS = 60.0
# After a long downtime only the latest days are summed up.
_MOST_DAYS = 62


class DayLedger(Protocol):
    """The ledger's reads by day. Each call raises `StoreBusy` or `AuditUnwritable`."""

    async def day_rows(self, begin_ms: int, end_ms: int) -> DayRows: ...

    async def final_days(self, since: str) -> tuple[str, ...]:
        """The days from `since` on whose summary is final, oldest first."""
        ...

    async def first_start_ms(self) -> int | None:
        """When the first run of all started."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBook:
    """Writes summaries; a day written again replaces its earlier sums.

    A day ends by the exchange's time, like the limits of risk, and not while that is in doubt: a
    machine clock that is ahead would close a day before its last trades.
    """

    run_id: str
    ledger: DayLedger
    audit: AuditPort
    clock: Clock
    server_clock: ServerClock

    async def close_past(self) -> tuple[DaySummary, ...]:
        """Write the summaries of days that are over and not final yet; returns them, oldest first.

        A summary marked final of a day that is not over was written by a clock that was ahead: it
        is written again, as one that is not final, so that the day is summed up when it is over.

        Raises `StoreBusy`, `AuditUnwritable`.
        """
        now = self.server_clock.certain_now_ms()
        if now is None:
            return ()
        begun_ms = await self.ledger.first_start_ms()
        final = await self.ledger.final_days(day_of(now - _MOST_DAYS * DAY_MS))
        for day in final:
            if not is_final(day, now):
                await self._write(day, await self.ledger.day_rows(*span_of(day)), now)
        due = days_due(final, begun_ms, now)
        found = [await self._close(day, now) for day in due[-_MOST_DAYS:]]
        return tuple(summary for summary in found if summary is not None)

    async def close_all(self) -> None:
        """Like `close_past`, and the current day as far as it has gone."""
        await self.close_past()
        now = self.server_clock.certain_now_ms() or self.server_clock.server_now_ms()
        await self._close(day_of(now), now)

    async def _close(self, day: str, now_ms: int) -> DaySummary | None:
        """None when nothing ran on that day; `now_ms` is the exchange's time."""
        rows = await self.ledger.day_rows(*span_of(day))
        return await self._write(day, rows, now_ms) if rows.runs or rows.fills else None

    async def _write(self, day: str, rows: DayRows, now_ms: int) -> DaySummary:
        wall_ms = self.clock.now_ms()
        # The ledger shows the current run up to its last event, but it is still running.
        runs = tuple(
            msgspec.structs.replace(run, until_ms=wall_ms) if run.run_id == self.run_id else run
            for run in rows.runs
        )
        summary = summarise(day, msgspec.structs.replace(rows, runs=runs), now_ms=now_ms)
        await self.audit.commit(_entry(summary, wall_ms))
        return summary


@dataclass(frozen=True, slots=True, kw_only=True)
class DayKeeper:
    book: DayBook
    clock: Clock
    governor: Mailbox[GovernorInbox]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Close days until cancelled; when the database is busy, try again later."""
        task_status.started()
        due_ms = 0
        while True:
            now = self.book.server_clock.certain_now_ms()
            if now is not None and now >= due_ms:
                try:
                    await self._report(await self.book.close_past())
                except StoreBusy:
                    due_ms = 0
                else:
                    due_ms = next_close_ms(now)
            left_ms = 0 if now is None else due_ms - now
            await self.clock.sleep(min(max(left_ms, 1000) / 1000, _LOOK_SECONDS))

    async def _report(self, summaries: tuple[DaySummary, ...]) -> None:
        """Dust is never sold by the program, so the operator is told of it once a day."""
        for summary in summaries:
            if summary.complete and summary.dust:
                held = ", ".join(f"{symbol} {qty:f}" for symbol, qty in summary.dust.items())
                await self.governor.send(
                    Alert(
                        severity=Severity.INFO,
                        code=ReasonCode.CLOSE_SAFELY_DUST,
                        reasons=(),
                        text=f"too small to sell, at the end of {summary.day}: {held}",
                        at_ms=self.clock.now_ms(),
                    )
                )


def _entry(summary: DaySummary, now_ms: int) -> AuditEntry:
    """The event holds the day's sums, the row also each symbol's."""
    sums = msgspec.to_builtins(msgspec.structs.replace(summary, symbols=()))
    del sums["symbols"]
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.DAILY_SUMMARY,
            stage=Stage.REPORT_DAILY_SUMMARY,
            ts_ms=now_ms,
            data=sums,
        ),
        records=(
            DailySummaryRow(
                day=summary.day, summary_json=canonical_json(summary).decode(), at_ms=now_ms
            ),
        ),
    )
