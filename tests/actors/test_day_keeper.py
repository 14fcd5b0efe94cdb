"""Days are summed up in the ledger when they end, also those that ended while nobody ran."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import msgspec

from livespot.actors.day_keeper import DayBook, DayKeeper
from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.day import DayRows, DaySummary
from livespot.contracts.errors import StoreBusy
from livespot.contracts.records import DailySummaryRow, FillRow, PositionRow, Record
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import EventType, PositionPhase
from livespot.rules.day_summary import DAY_MS, LATE_MS, summarise
from livespot.runtime.mailboxes import Mailbox
from livespot.store.connection import Database
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.ledger_rows import (
    NOW_MS,
    RUN,
    created,
    fill,
    fresh,
    opened,
    order,
    position,
    run_started,
)
from livespot.testing.server_clock import FixedOffset

# Ledger rows are stamped with the first moment of 2026.
_HOUR_MS = 3_600_000
_NOTHING = DayRows(fills=(), closed=(), open=(), dust=(), runs=(), modes=(), alerts={})


class _Kept(RecordingAudit):
    """Writes the rows of what it is given to a real database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database

    async def commit(self, *entries: AuditEntry) -> None:
        await super().commit(*entries)
        await self.database.transaction([row for entry in entries for row in entry.records])


class _BusyOnce(LedgerQueries):
    """A ledger that is held by another program when it is first asked."""

    busy = True

    async def final_days(self, since: str) -> tuple[str, ...]:
        if self.busy:
            self.busy = False
            raise StoreBusy("held")
        return await super().final_days(since)


class _HeldClock(ManualClock):
    """A sleep that reaches `stop_ms` ends only when `go_on` is set."""

    def __init__(self, now_ms: int, stop_ms: int) -> None:
        super().__init__(now_ms)
        self.stop_ms = stop_ms
        self.reached, self.go_on = anyio.Event(), anyio.Event()

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if self.wall_ms >= self.stop_ms:
            self.reached.set()
            await self.go_on.wait()


async def _book(
    path: Path, clock: ManualClock, *rows: Record, server_clock: FixedOffset | None = None
) -> tuple[DayBook, _Kept]:
    database = await opened(path)
    await database.transaction([run_started(), created(), order(), *rows])
    audit = _Kept(database)
    ledger = LedgerQueries(ReadOnlyDatabase(path))
    server_clock = server_clock or FixedOffset(clock)
    book = DayBook(run_id=RUN, ledger=ledger, audit=audit, clock=clock, server_clock=server_clock)
    return book, audit


def _kept(path: Path) -> dict[str, dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT day, summary_json FROM daily_summaries ORDER BY day")
        return {day: json.loads(text) for day, text in rows}


def _summary_row(summary: DaySummary) -> DailySummaryRow:
    text = canonical_json(summary).decode()
    return DailySummaryRow(day=summary.day, summary_json=text, at_ms=NOW_MS)


def _fill_at(trade_id: int, at_ms: int) -> FillRow:
    row = fill(trade_id)
    moved = msgspec.structs.replace(row.fill, exchange_time_ms=at_ms)
    return msgspec.structs.replace(row, fill=moved)


def _dust() -> PositionRow:
    row = position(phase=PositionPhase.DUST)
    crumbs = msgspec.structs.replace(row.position, dust_qty=Decimal("0.0003"))
    return msgspec.structs.replace(row, position=crumbs)


async def test_an_orderly_end_leaves_the_sums_of_the_day_so_far(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + _HOUR_MS)
    book, audit = await _book(path, clock, _fill_at(1, NOW_MS), _fill_at(2, NOW_MS + 5))

    await book.close_all()
    await audit.database.close()

    kept = _kept(path)["2026-01-01"]
    assert (kept["fills"], kept["paid"], kept["fees"]) == (2, "300.3000", {"BTC": "0.0030"})
    assert kept["complete"] is False
    assert [s["symbol"] for s in kept["symbols"]] == ["BTCUSDT"]
    [event] = audit.of(EventType.DAILY_SUMMARY)
    assert event.draft.data["fills"] == 2


async def test_each_fill_belongs_to_the_day_of_its_own_time(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + 2 * DAY_MS)
    fills = [_fill_at(n, NOW_MS + DAY_MS + shift) for n, shift in enumerate((-1, 0, 1))]
    book, audit = await _book(path, clock, *fills)

    await book.close_past()
    await audit.database.close()

    days = {day: kept["fills"] for day, kept in _kept(path).items()}
    assert days == {"2026-01-01": 1, "2026-01-02": 2}


async def test_a_day_is_closed_two_minutes_after_midnight_and_a_late_fill_is_in_it(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    clock = _HeldClock(NOW_MS + DAY_MS - _HOUR_MS, stop_ms=NOW_MS + DAY_MS + LATE_MS - 61_000)
    book, audit = await _book(path, clock, _dust())
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 8, clock)
    keeper = DayKeeper(book=book, clock=clock, governor=governor)
    async with anyio.create_task_group() as group:
        await group.start(keeper.run)
        await clock.reached.wait()
        before = _kept(path)
        await audit.database.transaction([_fill_at(1, NOW_MS + DAY_MS - 1)])
        clock.go_on.set()
        with anyio.fail_after(5):
            told = await governor.receive()
        group.cancel_scope.cancel()
    await audit.database.close()

    kept = _kept(path)
    assert before == {}
    assert list(kept) == ["2026-01-01"]
    assert (kept["2026-01-01"]["fills"], kept["2026-01-01"]["complete"]) == (1, True)
    assert isinstance(told, Alert)
    assert told.code is ReasonCode.CLOSE_SAFELY_DUST
    assert "BTCUSDT 0.0003" in told.text


async def test_a_day_whose_end_nobody_saw_is_summed_up_at_the_next_start(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + _HOUR_MS)
    book, audit = await _book(path, clock, _fill_at(1, NOW_MS))
    await book.close_all()
    clock.advance(DAY_MS)
    await audit.database.transaction([_fill_at(2, NOW_MS + 9)])

    written = await book.close_past()
    again = await book.close_past()
    await audit.database.close()

    assert [(summary.day, summary.fills, summary.complete) for summary in written] == [
        ("2026-01-01", 2, True)
    ]
    assert again == ()


async def test_a_day_is_not_closed_because_the_machines_clock_is_ahead(tmp_path: Path) -> None:
    """What is traded in the rest of the day would be missing in its sums for good."""
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + DAY_MS - _HOUR_MS)
    server_clock = FixedOffset(clock)
    book, audit = await _book(path, clock, server_clock=server_clock)
    clock.wall_ms += 2 * _HOUR_MS
    server_clock.offset_ms -= 2 * _HOUR_MS

    early = await book.close_past()
    clock.wall_ms -= 2 * _HOUR_MS
    server_clock.offset_ms = 0
    await audit.database.transaction([_fill_at(1, NOW_MS + DAY_MS - 1)])
    clock.advance(_HOUR_MS + LATE_MS)
    written = await book.close_past()
    await audit.database.close()

    assert early == ()
    assert [(summary.day, summary.fills) for summary in written] == [("2026-01-01", 1)]


async def test_a_day_is_closed_although_the_clock_was_ten_days_ahead_before(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + DAY_MS - _HOUR_MS)
    server_clock = FixedOffset(clock)
    book, audit = await _book(path, clock, _dust(), server_clock=server_clock)
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 8, clock)
    clock.wall_ms += 10 * DAY_MS
    server_clock.offset_ms -= 10 * DAY_MS
    async with anyio.create_task_group() as group:
        await group.start(DayKeeper(book=book, clock=clock, governor=governor).run)
        while not clock.slept:
            await anyio.lowlevel.checkpoint()
        clock.wall_ms -= 10 * DAY_MS
        server_clock.offset_ms = 0
        with anyio.fail_after(5):
            await governor.receive()
        group.cancel_scope.cancel()
    await audit.database.close()

    assert clock.now_ms() < NOW_MS + DAY_MS + LATE_MS + 120_000
    assert list(_kept(path)) == ["2026-01-01"]


async def test_a_final_summary_of_a_day_that_is_not_over_stops_no_close(tmp_path: Path) -> None:
    """An earlier version wrote such summaries when the machine's clock was ahead."""
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + DAY_MS + _HOUR_MS)
    early = [
        _summary_row(summarise(day, _NOTHING, now_ms=NOW_MS + 6 * DAY_MS))
        for day in ("2026-01-02", "2026-01-05")
    ]
    book, audit = await _book(path, clock, _fill_at(1, NOW_MS), *early)

    first = await book.close_past()
    reopened = {day: kept["complete"] for day, kept in _kept(path).items()}
    await audit.database.transaction([_fill_at(2, NOW_MS + DAY_MS + 2 * _HOUR_MS)])
    clock.advance(DAY_MS)
    second = await book.close_past()
    await audit.database.transaction([_fill_at(3, NOW_MS + 4 * DAY_MS)])
    clock.advance(3 * DAY_MS)
    third = await book.close_past()
    await audit.database.close()

    assert [(s.day, s.fills, s.complete) for s in first] == [("2026-01-01", 1, True)]
    assert reopened == {"2026-01-01": True, "2026-01-02": False, "2026-01-05": False}
    assert [(s.day, s.fills, s.complete) for s in second] == [("2026-01-02", 1, True)]
    assert [(s.day, s.fills) for s in third][-1] == ("2026-01-05", 1)


async def test_a_day_that_was_not_final_when_the_next_one_began_becomes_final(
    tmp_path: Path,
) -> None:
    """Ended a minute after midnight: the day before is not final, but today has a summary too."""
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + DAY_MS + 60_000)
    book, audit = await _book(path, clock, _fill_at(1, NOW_MS))
    await book.close_all()
    await audit.database.transaction([_fill_at(2, NOW_MS + DAY_MS - 1)])
    clock.advance(_HOUR_MS)

    written = await book.close_past()
    await audit.database.close()

    assert [(s.day, s.fills, s.complete) for s in written] == [("2026-01-01", 2, True)]


async def test_no_day_is_closed_while_the_exchanges_time_is_in_doubt(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + 2 * DAY_MS)
    server_clock = FixedOffset(clock)
    server_clock.synced = False
    book, audit = await _book(path, clock, server_clock=server_clock)

    doubtful = await book.close_past()
    server_clock.synced = True
    written = await book.close_past()
    await audit.database.close()

    assert doubtful == ()
    assert [summary.day for summary in written] == ["2026-01-01", "2026-01-02"]


async def test_days_without_a_run_leave_no_row(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    clock = ManualClock(NOW_MS + DAY_MS)
    database = await opened(path)
    ledger = LedgerQueries(ReadOnlyDatabase(path))
    audit, server_clock = _Kept(database), FixedOffset(clock)
    book = DayBook(run_id=RUN, ledger=ledger, audit=audit, clock=clock, server_clock=server_clock)

    await book.close_all()
    await database.close()

    assert _kept(path) == {}


async def test_a_held_database_is_asked_again(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), ManualClock(NOW_MS + DAY_MS + LATE_MS)
    book, audit = await _book(path, clock, _dust())
    busy = _BusyOnce(ReadOnlyDatabase(path))
    again = replace(book, ledger=busy)
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 8, clock)
    async with anyio.create_task_group() as group:
        await group.start(DayKeeper(book=again, clock=clock, governor=governor).run)
        with anyio.fail_after(5):
            await governor.receive()
        group.cancel_scope.cancel()
    await audit.database.close()

    assert not busy.busy
    assert list(_kept(path)) == ["2026-01-01"]
    assert book.ledger is not busy
