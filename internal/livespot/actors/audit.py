"""The audit writer: the one task that makes events durable, in order, and answers who waits.

Reads: the entries given to `commit`, `record` and `offer_web`. Writes: the audit database, then the
JSONL trail. Owns: the sequence and the hash chain of its run, and the writing connection.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from anyio import TASK_STATUS_IGNORED, CancelScope
from anyio.abc import TaskStatus

from livespot.actors.audit_lanes import HEARTBEAT_SECONDS, Lanes, Unit
from livespot.contracts.audit import AuditDraft, AuditEntry, TrailRepair
from livespot.contracts.base import Message
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import AuditUnwritable, LedgerViolation, StoreBusy
from livespot.contracts.ports import Clock
from livespot.contracts.records import Record
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import AuditSettings
from livespot.contracts.vocabulary import EventType, Mode

_FINISH_SECONDS = 10.0
_BUSY_PAUSE_SECONDS = 0.05
# The longest tolerated hold by another process. Every actor that waits for a durable event waits as
# long, so a longer hold counts as a broken database.
_BUSY_LIMIT_MS = 60_000
_TRAIL_RETRY_MS = 5000
_ERROR_TEXT_MAX = 300


class Store(Protocol):
    """The writing side of the audit database."""

    async def transaction(self, rows: Sequence[SealedEvent | Record]) -> None:
        """Write all rows or none; durable on return, shielded from cancellation.

        Raises `LedgerViolation`, `StoreBusy`, or `AuditUnwritable` (the store is lost).
        """
        ...

    async def checkpoint(self) -> bool: ...

    async def close(self) -> None: ...


class Trail(Protocol):
    """The human-readable copy of the events, in the same order."""

    def append(self, events: Sequence[SealedEvent]) -> None:
        """Raises `OSError`; the trail is then behind until `repair` succeeds."""
        ...

    async def repair(self) -> TrailRepair:
        """Make the recent files equal to the database. Raises `OSError` or `StoreBusy`."""
        ...


class WriterStats(Message, frozen=True):
    """The writer's figures for the health actor. Ages and lag in market milliseconds.

    `lag_ms` is the age of the oldest unit in the last commit; `waiting` counts producers held back;
    `refused` counts units that violated a rule of the database.
    """

    depth: int
    critical_depth: int
    normal_depth: int
    web_depth: int
    capacity: int
    oldest_age_ms: int
    lag_ms: int
    commits: int
    events: int
    refused: int
    busy: int
    failed_writes: int
    web_refused: int
    waiting: int
    trail_behind: bool
    failed: bool


@dataclass(slots=True)
class _Counters:
    commits: int = 0
    events: int = 0
    refused: int = 0
    busy: int = 0
    failed_writes: int = 0
    lag_ms: int = 0


@dataclass(slots=True, kw_only=True)
class AuditWriter:
    """The `AuditPort` of the process. Start `run` before every other actor and end it after them.

    With a `beat` the writer wakes twice a second to call it. Without one only work wakes an idle
    writer, and its health is read from its lanes.
    """

    run_id: str
    mode: Mode
    store: Store
    trail: Trail
    clock: Clock
    settings: AuditSettings
    redactor: Redactor
    first_seq: int = 1
    prev_hash: str = ""
    beat: Callable[[], None] | None = None
    _lanes: Lanes = field(init=False)
    _seq: int = field(init=False)
    _ts_ms: int = field(init=False, default=0)
    _failed: AuditUnwritable | None = field(init=False, default=None)
    _behind_since_ms: int | None = field(init=False, default=None)
    _busy_since_ms: int | None = field(init=False, default=None)
    _counted: _Counters = field(init=False, default_factory=_Counters)

    def __post_init__(self) -> None:
        self._lanes = Lanes(self.settings, self.clock)
        self._seq = self.first_seq

    async def commit(self, *entries: AuditEntry) -> None:
        """Critical lane: write the entries in one transaction; durable on return, never cancelled.

        Raises `LedgerViolation` when a row broke a rule (nothing of this call was written) and
        `AuditUnwritable` when nothing can be written any more.
        """
        if not entries:
            return
        reply = self._lanes.add_critical(entries)
        with CancelScope(shield=True):
            await reply.wait()

    async def record(self, *entries: AuditEntry) -> None:
        """Normal lane: in order, each entry a unit of its own; waits at the high-water mark."""
        for entry in entries:
            await self._lanes.add_normal(entry)

    def offer_web(self, entry: AuditEntry) -> bool:
        """The panel's own lane of 64; False means the request must be answered 429."""
        return self._lanes.offer_web(entry)

    def close(self) -> None:
        """Ask `run` to write what is queued and end; call it when every sender has stopped."""
        self._lanes.close()

    def stats(self) -> WriterStats:
        critical, normal, web = self._lanes.depths
        counted = self._counted
        return WriterStats(
            depth=critical + normal + web,
            critical_depth=critical,
            normal_depth=normal,
            web_depth=web,
            capacity=self.settings.writer_queue_capacity,
            oldest_age_ms=self._lanes.oldest_age_ms,
            lag_ms=counted.lag_ms,
            commits=counted.commits,
            events=counted.events,
            refused=counted.refused,
            busy=counted.busy,
            failed_writes=counted.failed_writes,
            web_refused=self._lanes.web_refused,
            waiting=self._lanes.waiting,
            trail_behind=self._behind_since_ms is not None,
            failed=self._failed is not None,
        )

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Write until closed and empty; when cancelled, still write what is queued.

        Raises `AuditUnwritable`: the process must end.
        """
        try:
            task_status.started()
            while not self._lanes.closing:
                if self.beat is not None:
                    self.beat()
                if await self._lanes.batch_due(HEARTBEAT_SECONDS if self.beat else None):
                    with CancelScope(shield=True):
                        await self._flush()
                    # While work is always queued, nothing above reaches a cancellation point.
                    await anyio.lowlevel.checkpoint()
        finally:
            await self._finish()

    async def _flush(self) -> None:
        """Write the next batch; a refused one is halved until only the offending unit is left."""
        todo = [self._lanes.take()]
        while todo:
            group = todo.pop()
            if not group:
                continue
            try:
                await self._attempt(group, todo)
            except StoreBusy as error:
                self._counted.busy += 1
                self._lanes.put_back([*group, *(unit for rest in reversed(todo) for unit in rest)])
                self._check_busy_limit(error)
                await self.clock.sleep(_BUSY_PAUSE_SECONDS)
                return
            except AuditUnwritable as error:
                self._counted.failed_writes += 1
                self._failed = error
                self._lanes.put_back([*group, *(unit for rest in todo for unit in rest)])
                raise
            self._busy_since_ms = None

    def _check_busy_limit(self, error: StoreBusy) -> None:
        """Raise `AuditUnwritable` once another process has held the database for too long."""
        now = self.clock.monotonic_ms()
        since = self._busy_since_ms = now if self._busy_since_ms is None else self._busy_since_ms
        if now - since < _BUSY_LIMIT_MS:
            return
        self._counted.failed_writes += 1
        self._failed = AuditUnwritable(f"nothing could be written for {now - since} ms: {error}")
        raise self._failed from error

    async def _attempt(self, group: list[Unit], todo: list[list[Unit]]) -> None:
        try:
            await self._write(group)
        except LedgerViolation as error:
            if len(group) == 1:
                todo.append([self._refuse(group[0], error)])
            else:
                middle = len(group) // 2
                todo += [group[middle:], group[:middle]]

    async def _write(self, group: list[Unit]) -> None:
        events, ts_ms = self._sealed(group)
        records = [row for unit in group for entry in unit.entries for row in entry.records]
        await self.store.transaction([*events, *records])
        self._seq += len(events)
        self._ts_ms = ts_ms
        self.prev_hash = events[-1].hash
        self._counted.commits += 1
        self._counted.events += len(events)
        self._counted.lag_ms = self.clock.monotonic_ms() - min(unit.since_ms for unit in group)
        for unit in group:
            unit.written()
        await self._append_to_trail(events)

    def _sealed(self, group: list[Unit]) -> tuple[list[SealedEvent], int]:
        """The events with sequence number, stamp and hash, and the newest stamp.

        Stamps never run backwards within a run, whatever the queue and the wall clock do.
        """
        events: list[SealedEvent] = []
        ts_ms, prev_hash = self._ts_ms, self.prev_hash
        for entry in (entry for unit in group for entry in unit.entries):
            ts_ms = max(ts_ms, entry.draft.ts_ms)
            place = Place(
                run_id=self.run_id,
                mode=self.mode,
                seq=self._seq + len(events),
                ts_ms=ts_ms,
                prev_hash=prev_hash,
            )
            event = seal(entry.draft, self._data(entry.draft), place)
            events.append(event)
            prev_hash = event.hash
        return events, ts_ms

    def _data(self, draft: AuditDraft) -> bytes:
        try:
            return self.redactor.event_data(draft.data, self.settings.redacted_json_max_bytes)
        except (TypeError, ValueError) as e:
            raise LedgerViolation(f"the data of {draft.event_type} cannot be written: {e}") from e

    def _refuse(self, unit: Unit, error: LedgerViolation) -> Unit:
        """Fail the caller's unit, and return a note to write in its place."""
        if unit.is_note:
            # A note violates no rule by itself, so the chain is broken: there may be a second
            # writer.
            raise AuditUnwritable(f"the audit lost its place in the chain: {error}") from error
        self._counted.refused += 1
        unit.failed(error)
        first = unit.entries[0].draft
        note = AuditDraft(
            event_type=EventType.ALERT_RAISED,
            stage=first.stage,
            ts_ms=self.clock.now_ms(),
            cycle_id=first.cycle_id,
            reasons=(ReasonCode.AUDIT_WRITE_FAILED,),
            decision_id=first.decision_id,
            order_intent_id=first.order_intent_id,
            symbol=first.symbol,
            data={
                "refused": [entry.draft.event_type for entry in unit.entries],
                "error": str(error)[:_ERROR_TEXT_MAX],
            },
        )
        return Unit(
            arrival=unit.arrival,
            since_ms=unit.since_ms,
            entries=(AuditEntry(draft=note),),
            is_note=True,
        )

    async def _append_to_trail(self, events: Sequence[SealedEvent]) -> None:
        """Append to the trail; while it is behind, only a repair may write to it."""
        if self._behind_since_ms is None:
            try:
                self.trail.append(events)
            except OSError:
                self._counted.failed_writes += 1
                self._behind_since_ms = self.clock.monotonic_ms()
        elif self.clock.monotonic_ms() - self._behind_since_ms >= _TRAIL_RETRY_MS:
            await self._catch_up()

    async def _catch_up(self) -> None:
        try:
            await self.trail.repair()
        except (OSError, StoreBusy):
            self._counted.failed_writes += 1
            self._behind_since_ms = self.clock.monotonic_ms()
        else:
            self._behind_since_ms = None

    async def _finish(self) -> None:
        """Drain, bring the trail up to date, checkpoint the WAL and close; bounded and shielded."""
        with CancelScope(shield=True):
            try:
                if self._failed is None:
                    await self._drain()
            finally:
                left = self._lanes.end(self._failed or AuditUnwritable("the audit has ended"))
                await self.store.close()
        if left and self._failed is None:
            raise AuditUnwritable(f"{left} audit units could not be written before the end")

    async def _drain(self) -> None:
        with self.clock.move_on_after(_FINISH_SECONDS, shield=True):
            while self._lanes.depth:
                await self._flush()
                await anyio.lowlevel.checkpoint()
            if self._behind_since_ms is not None:
                await self._catch_up()
            await self.store.checkpoint()
