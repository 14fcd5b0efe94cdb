"""The audit writer on a real database: durable, ordered, fair, honest about failure."""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from livespot.actors.audit import AuditWriter, Store
from livespot.contracts.chain import SealedEvent
from livespot.contracts.errors import AuditUnwritable, LedgerViolation, StoreBusy
from livespot.contracts.records import Record
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import AuditSettings
from livespot.contracts.vocabulary import IntentState, Mode
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.disk import RealDisk
from livespot.store.chain import verify_chain
from livespot.store.connection import Database
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing.inline_store import InlineDatabase, InlineReader
from livespot.testing.ledger_rows import NOW_MS, RUN, created, draft, entry, fill, fresh, moved

SECRET = "canary-Secret+Value/0123456789"


class Gated:
    """A store whose transactions wait until the test lets them through, one at a time."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.sizes: list[int] = []
        self.started = anyio.Event()
        self.open = anyio.Event()
        self.errors: list[Exception] = []

    async def transaction(self, rows: Sequence[SealedEvent | Record]) -> None:
        self.started.set()
        with anyio.CancelScope(shield=True):
            await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        await self.inner.transaction(rows)
        self.sizes.append(sum(isinstance(row, SealedEvent) for row in rows))

    async def checkpoint(self) -> bool:
        return await self.inner.checkpoint()

    async def close(self) -> None:
        await self.inner.close()


def writer_on(path: Path, store: Store, **changes: Any) -> AuditWriter:
    logs = path.parent.parent / "logs"
    disk = RealDisk()
    disk.make_directory(logs)
    arguments: dict[str, Any] = {
        "run_id": RUN,
        "mode": Mode.SIM,
        "store": store,
        "trail": JsonlTrail(disk, logs, InlineReader(path)),
        "clock": SystemClock(),
        "settings": AuditSettings(),
        "redactor": Redactor([SECRET]),
    }
    return AuditWriter(**{**arguments, **changes})


@asynccontextmanager
async def running(path: Path, **changes: Any) -> AsyncIterator[AuditWriter]:
    """A writer on the real connection; the block's end closes it and waits for the last row."""
    redactor = Redactor([SECRET])
    store = await Database.open(path, run_id=RUN, redactor=redactor)
    writer = writer_on(path, store, **changes)
    async with anyio.create_task_group() as group:
        await group.start(writer.run)
        yield writer
        writer.close()


@asynccontextmanager
async def gated(path: Path, **changes: Any) -> AsyncIterator[tuple[AuditWriter, Gated]]:
    store = Gated(InlineDatabase(path, run_id=RUN, redactor=Redactor()))
    writer = writer_on(path, store, **changes)
    async with anyio.create_task_group() as group:
        await group.start(writer.run)
        yield writer, store
        writer.close()
        store.open.set()


def stored(path: Path, sql: str = "SELECT seq, data FROM audit_events ORDER BY id") -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def files_under(directory: Path) -> list[Path]:
    return [file for file in directory.rglob("*") if file.is_file()]


def numbers(path: Path) -> list[int]:
    return [json.loads(data)["number"] for _, data in stored(path)]


def trail_lines(path: Path) -> list[dict[str, Any]]:
    files = sorted((path.parent.parent / "logs").glob("audit-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


async def test_a_committed_entry_is_on_the_disk_when_commit_returns(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        await writer.commit(entry(1, created(), fill()))

        assert numbers(path) == [1]
        assert stored(path, "SELECT state FROM order_intents") == [("CREATED",)]


async def test_sequence_is_contiguous_and_the_chain_holds_over_two_runs(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        for number in range(5):
            await writer.commit(entry(number))
    async with running(path, run_id="run_2", prev_hash=writer.prev_hash) as second:
        await second.commit(entry(9))
        await second.record(entry(10), entry(11))

    report = await verify_chain(ReadOnlyDatabase(path))

    assert report.broken is None
    assert report.events == 8
    assert [seq for seq, _ in stored(path)] == [1, 2, 3, 4, 5, 1, 2, 3]


async def test_everything_waiting_is_committed_together(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with gated(path) as (writer, store), anyio.create_task_group() as callers:
        callers.start_soon(writer.commit, entry(0))
        await store.started.wait()
        for number in range(1, 21):
            callers.start_soon(writer.commit, entry(number))
        await anyio.wait_all_tasks_blocked()
        store.open.set()

    assert store.sizes == [1, 20]
    assert numbers(path) == list(range(21))


async def test_only_the_offender_is_refused_and_its_neighbours_are_written(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    outcomes: dict[int, str] = {}

    async def call(writer: AuditWriter, number: int, *rows: Record) -> None:
        try:
            await writer.commit(entry(number, *rows))
        except LedgerViolation:
            outcomes[number] = "refused"
        else:
            outcomes[number] = "written"

    async with gated(path) as (writer, store), anyio.create_task_group() as callers:
        callers.start_soon(call, writer, 0, created("a"))
        await store.started.wait()
        callers.start_soon(call, writer, 1, created("b"))
        callers.start_soon(call, writer, 2, created("a", client_order_id="X_again"))
        callers.start_soon(call, writer, 3, moved(IntentState.CREATED, IntentState.SENT_UNKNOWN))
        callers.start_soon(call, writer, 4, moved(IntentState.CREATED, IntentState.CONFIRMED, "b"))
        await anyio.wait_all_tasks_blocked()
        store.open.set()

    assert outcomes == {0: "written", 1: "written", 2: "refused", 3: "written", 4: "refused"}
    assert (await verify_chain(ReadOnlyDatabase(path))).broken is None
    notes = stored(path, "SELECT data FROM audit_events WHERE reasons LIKE '%AUDIT_WRITE_FAILED%'")
    assert len(notes) == 2
    assert writer.stats().refused == 2


async def test_entries_of_one_commit_stand_or_fall_together(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        with pytest.raises(LedgerViolation):
            await writer.commit(entry(1, created("a")), entry(2, created("a")))

    assert stored(path, "SELECT * FROM order_intents") == []


async def test_data_without_a_canonical_form_is_refused_and_noted(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        await writer.record(entry(1, data={"price": 1.5}), entry(2))
        with pytest.raises(LedgerViolation, match="cannot be written"):
            await writer.commit(entry(3, data={"price": 1.5}))

    datas = [json.loads(data) for _, data in stored(path)]
    assert {"number": 2} in datas
    assert sum("refused" in data for data in datas) == 2


async def test_a_cancelled_caller_does_not_lose_its_write(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with gated(path) as (writer, store):
        async with anyio.create_task_group() as callers:
            callers.start_soon(writer.commit, entry(1, created()))
            await store.started.wait()
            callers.cancel_scope.cancel()
            store.open.set()

        assert numbers(path) == [1]


async def test_cancelling_the_writer_still_writes_what_waits(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    store = await Database.open(path, run_id=RUN, redactor=Redactor())
    writer = writer_on(path, store)
    async with anyio.create_task_group() as group:
        await group.start(writer.run)
        await writer.record(*(entry(number) for number in range(500)))
        group.cancel_scope.cancel()

    assert numbers(path) == list(range(500))
    assert len(trail_lines(path)) == 500
    assert not path.with_name(path.name + "-wal").exists()


async def test_normal_entries_keep_their_order_and_share_transactions(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        await writer.record(*(entry(number) for number in range(300)))

    assert numbers(path) == list(range(300))
    assert writer.stats().commits <= 3


async def test_producers_wait_at_the_high_water_mark_and_nothing_is_lost(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    settings = AuditSettings(writer_queue_capacity=10)
    async with (
        gated(path, settings=settings) as (writer, store),
        anyio.create_task_group() as callers,
    ):
        callers.start_soon(writer.commit, entry(0))
        await store.started.wait()
        for number in range(1, 31):
            callers.start_soon(writer.record, entry(number))
        await anyio.wait_all_tasks_blocked()
        held = writer.stats()
        store.open.set()

    assert held.normal_depth == 8
    assert held.waiting == 22
    assert sorted(numbers(path)) == list(range(31))


async def test_a_critical_entry_does_not_wait_for_a_full_normal_lane(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    settings = AuditSettings(writer_queue_capacity=2000)
    async with (
        gated(path, settings=settings) as (writer, store),
        anyio.create_task_group() as callers,
    ):
        callers.start_soon(writer.commit, entry(0))
        await store.started.wait()
        await writer.record(*(entry(number) for number in range(1, 1001)))
        callers.start_soon(writer.commit, entry(5000))
        await anyio.wait_all_tasks_blocked()
        store.open.set()

    assert numbers(path).index(5000) <= 33
    stamps = [row[0] for row in stored(path, "SELECT ts_ms FROM audit_events ORDER BY id")]
    assert stamps == sorted(stamps)


async def test_the_panels_lane_refuses_beyond_its_capacity(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with gated(path) as (writer, store), anyio.create_task_group() as callers:
        callers.start_soon(writer.commit, entry(0))
        await store.started.wait()
        taken = [writer.offer_web(entry(number)) for number in range(1, 71)]
        store.open.set()

    assert taken == [True] * 64 + [False] * 6
    assert writer.stats().web_refused == 6
    assert len(numbers(path)) == 65


async def test_a_busy_database_delays_but_loses_nothing(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with gated(path) as (writer, store):
        store.errors = [StoreBusy("held"), StoreBusy("held")]
        store.open.set()
        await writer.commit(entry(1, created()))

    assert numbers(path) == [1]
    assert writer.stats().busy == 2


async def test_a_database_held_for_a_minute_ends_the_writer_and_releases_its_callers(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    store = Gated(InlineDatabase(path, run_id=RUN, redactor=Redactor()))
    store.open.set()
    store.errors = [StoreBusy("held")] * 10_000
    fast = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=1000))
    writer = writer_on(path, store, clock=fast)

    async def wait_for_ever() -> None:
        with pytest.raises(AuditUnwritable):
            await writer.commit(entry(1))

    async def run_with_a_caller() -> None:
        async with anyio.create_task_group() as group:
            await group.start(writer.run)
            group.start_soon(wait_for_ever)

    with pytest.raises(ExceptionGroup) as ended:
        await run_with_a_caller()

    assert ended.group_contains(AuditUnwritable, match=r"written for ([6-9]\d|\d{3,})\d{3} ms")
    assert writer.stats().failed
    assert numbers(path) == []


async def test_a_disk_error_releases_every_caller_and_ends_the_writer(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    outcomes: list[type[Exception]] = []

    async def call(writer: AuditWriter, number: int) -> None:
        with pytest.raises(AuditUnwritable) as caught:
            await writer.commit(entry(number))
        outcomes.append(caught.type)

    store = Gated(InlineDatabase(path, run_id=RUN, redactor=Redactor()))
    store.errors = [AuditUnwritable("disk I/O error")]
    writer = writer_on(path, store)

    async def fail() -> None:
        async with anyio.create_task_group() as group:
            await group.start(writer.run)
            group.start_soon(call, writer, 1)
            await store.started.wait()
            group.start_soon(call, writer, 2)
            await anyio.wait_all_tasks_blocked()
            store.open.set()

    with pytest.raises(ExceptionGroup) as ended:
        await fail()

    assert ended.group_contains(AuditUnwritable)
    assert len(outcomes) == 2
    assert writer.stats().failed
    with pytest.raises(AuditUnwritable):
        await writer.commit(entry(3))
    with pytest.raises(AuditUnwritable):
        await writer.record(entry(4))


async def test_a_writer_that_lost_its_place_stops_instead_of_forking_the_chain(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    async with running(path) as first:
        await first.commit(entry(1))

    async def fork() -> None:
        async with running(path, run_id="run_2", prev_hash="f" * 64) as lost:
            with pytest.raises(LedgerViolation):
                await lost.commit(entry(2))

    with pytest.raises(ExceptionGroup) as ended:
        await fork()

    assert ended.group_contains(AuditUnwritable)
    assert numbers(path) == [1]


async def test_the_trail_holds_the_same_events_in_the_same_order(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        for number in range(20):
            await writer.record(entry(number))
            if number % 3 == 0:
                await writer.commit(entry(100 + number))

    hashes = [row[0] for row in stored(path, "SELECT hash FROM audit_events ORDER BY id")]
    assert [line["hash"] for line in trail_lines(path)] == hashes


async def test_a_trail_that_failed_is_mended_before_the_end(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        await writer.commit(entry(1))
        blocked = next((tmp_path / "logs").glob("audit-*.jsonl"))
        content = blocked.read_bytes()
        blocked.unlink()
        blocked.mkdir()
        await writer.commit(entry(2))
        assert writer.stats().trail_behind
        assert writer.stats().failed_writes == 1
        blocked.rmdir()
        blocked.write_bytes(content)
        await writer.commit(entry(3))

    assert [line["data"]["number"] for line in trail_lines(path)] == [1, 2, 3]
    assert not writer.stats().trail_behind


async def test_secrets_reach_neither_the_database_nor_the_trail(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    data = {"note": f"got {SECRET} back", "apiSecret": "other", "list": [{"url": SECRET}]}
    async with running(path) as writer:
        await writer.commit(entry(1, created("a", client_order_id=f"X_{SECRET}"), data=data))
        await writer.record(entry(2, data={"long": "y" * 5000}))

    assert not [file for file in files_under(tmp_path) if SECRET.encode() in file.read_bytes()]
    assert trail_lines(path)[1]["data"] == "<TRUNCATED len_bytes=5011>"


async def test_a_stamp_never_runs_backwards_within_a_run(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        await writer.commit(entry(50))
        await writer.commit(entry(3))

    stamps = [row[0] for row in stored(path, "SELECT ts_ms FROM audit_events ORDER BY id")]
    assert stamps == [NOW_MS + 50, NOW_MS + 50]
    assert draft(3).ts_ms == NOW_MS + 3


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_a_database_that_stays_busy_cannot_hold_the_end_back(
    tmp_path: Path, how: str
) -> None:
    path = fresh(tmp_path)
    store = Gated(InlineDatabase(path, run_id=RUN, redactor=Redactor()))
    store.open.set()
    store.errors = [StoreBusy("held")] * 10_000
    fast = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=100))
    writer = writer_on(path, store, clock=fast)

    async def give_up() -> None:
        async with anyio.create_task_group() as group:
            await group.start(writer.run)
            await writer.record(entry(1))
            await store.started.wait()
            if how == "closed":
                writer.close()
            else:
                group.cancel_scope.cancel()

    with pytest.raises(ExceptionGroup) as ended:
        await give_up()

    assert ended.group_contains(AuditUnwritable, match="1 audit units")
    assert numbers(path) == []


async def test_an_idle_writer_still_shows_that_it_lives(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    beaten = anyio.Event()
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 3:
            beaten.set()

    fast = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=100))
    async with running(path, clock=fast, beat=beat):
        with anyio.fail_after(5):
            await beaten.wait()


async def test_nothing_is_accepted_after_the_end(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with running(path) as writer:
        await writer.commit(entry(1))

    with pytest.raises(AuditUnwritable, match="ended"):
        await writer.commit(entry(2))
    assert not writer.offer_web(entry(3))
