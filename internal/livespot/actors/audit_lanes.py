"""The queues in front of the audit writer: who waits, who is refused, what is written next."""

from collections import deque
from collections.abc import Callable
from itertools import count

import anyio
import msgspec

from livespot.contracts.audit import AuditEntry
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.ports import Clock
from livespot.contracts.settings import AuditSettings
from livespot.runtime.bell import Bell
from livespot.runtime.mailboxes import Reply

BATCH_SECONDS = 0.2
HEARTBEAT_SECONDS = 0.5
BATCH_UNITS = 256
WEB_CAPACITY = 64
# A critical commit takes at most this many other units with it: in quiet times the order of arrival
# is kept, and in a flood the critical commit does not wait for the backlog.
_ALONGSIDE = 32


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """Entries that are written or refused together: one `commit` call, or one normal entry."""

    arrival: int
    since_ms: int
    entries: tuple[AuditEntry, ...]
    reply: Reply[None] | None = None
    is_note: bool = False

    def written(self) -> None:
        if self.reply is not None:
            self.reply.answer(None)

    def failed(self, error: Exception) -> None:
        if self.reply is not None:
            self.reply.fail(error)


class Lanes:
    """Critical, normal and panel entries in order of arrival within each lane."""

    def __init__(self, settings: AuditSettings, clock: Clock) -> None:
        self._clock = clock
        share = settings.writer_queue_capacity * settings.writer_queue_hi_watermark_pct
        self._high = max(1, share // 100)
        self._critical: deque[Unit] = deque()
        self._normal: deque[Unit] = deque()
        self._web: deque[Unit] = deque()
        self._arrivals = count(1)
        self._work = Bell()
        self._room = anyio.Event()
        self._closing = False
        self._ended: AuditUnwritable | None = None
        self.waiting = 0
        self.web_refused = 0

    def add_critical(self, entries: tuple[AuditEntry, ...]) -> Reply[None]:
        """The reply is answered once they are durable. Raises `AuditUnwritable` after `end`."""
        reply: Reply[None] = Reply()
        self._append(self._critical, entries, reply)
        self._work.ring()
        return reply

    async def add_normal(self, entry: AuditEntry) -> None:
        """Wait while the lane is at its high-water mark. Raises `AuditUnwritable`."""
        if len(self._normal) >= self._high:
            await self._wait_for_room()
        self._append(self._normal, (entry,), None)
        if len(self._normal) in (1, BATCH_UNITS):
            self._work.ring()

    def offer_web(self, entry: AuditEntry) -> bool:
        """False when the panel's lane is full: refuse the request, do not serve it unaudited."""
        if len(self._web) >= WEB_CAPACITY or self._ended is not None:
            self.web_refused += 1
            return False
        self._append(self._web, (entry,), None)
        if len(self._web) == 1:
            self._work.ring()
        return True

    async def batch_due(self, within_seconds: float | None) -> bool:
        """Wait up to `within_seconds` (None: without limit) for a batch; False when none is due."""

        def something() -> bool:
            return self.depth > 0 or self._closing

        if within_seconds is not None:
            await self._wait_until(within_seconds, something)
        else:
            while not something():
                await self._work.wait()
        if self.depth and not self._urgent:
            await self._wait_until(BATCH_SECONDS, lambda: self._urgent)
        return self.depth > 0 and not self._closing

    def take(self) -> list[Unit]:
        """The next batch in order of arrival; critical units never wait for others."""
        others, web = (
            (_ALONGSIDE, _ALONGSIDE // 4) if self._critical else (BATCH_UNITS, WEB_CAPACITY)
        )
        taken = [
            lane.popleft()
            for lane, limit in (
                (self._critical, BATCH_UNITS),
                (self._normal, others),
                (self._web, web),
            )
            for _ in range(min(limit, len(lane)))
        ]
        self._room.set()
        return sorted(taken, key=lambda unit: unit.arrival)

    def put_back(self, units: list[Unit]) -> None:
        """Return units that could not be written to the head of their queues, in order."""
        self._critical.extendleft(reversed([unit for unit in units if unit.reply is not None]))
        self._normal.extendleft(reversed([unit for unit in units if unit.reply is None]))
        self._work.ring()

    def close(self) -> None:
        """End all waiting for batches; the final drain writes what is left."""
        self._closing = True
        self._work.ring()

    def end(self, error: AuditUnwritable) -> int:
        """Refuse everything from now on, queued units included; returns how many those were."""
        self._ended = error
        left = [*self._critical, *self._normal, *self._web]
        for lane in (self._critical, self._normal, self._web):
            lane.clear()
        for unit in left:
            unit.failed(_fresh(error))
        self._room.set()
        return len(left)

    @property
    def closing(self) -> bool:
        return self._closing

    @property
    def depth(self) -> int:
        return len(self._critical) + len(self._normal) + len(self._web)

    @property
    def depths(self) -> tuple[int, int, int]:
        return len(self._critical), len(self._normal), len(self._web)

    @property
    def oldest_age_ms(self) -> int:
        oldest = [lane[0].since_ms for lane in (self._critical, self._normal, self._web) if lane]
        return self._clock.monotonic_ms() - min(oldest) if oldest else 0

    @property
    def _urgent(self) -> bool:
        return bool(self._critical) or self._closing or len(self._normal) >= BATCH_UNITS

    def _append(
        self, lane: deque[Unit], entries: tuple[AuditEntry, ...], reply: Reply[None] | None
    ) -> None:
        if self._ended is not None:
            raise _fresh(self._ended)
        lane.append(
            Unit(
                arrival=next(self._arrivals),
                since_ms=self._clock.monotonic_ms(),
                entries=entries,
                reply=reply,
            )
        )

    async def _wait_until(self, seconds: float, enough: Callable[[], bool]) -> None:
        """Wait until `enough()` holds, at most `seconds`."""
        over = False

        def ring() -> None:
            nonlocal over
            over = True
            self._work.ring()

        if enough():
            return
        alarm = self._clock.alarm(seconds, ring)
        try:
            while not (over or enough()):
                await self._work.wait()
        finally:
            alarm.cancel()

    async def _wait_for_room(self) -> None:
        self.waiting += 1
        try:
            # Shielded: an event must be recorded even when its sender is being cancelled.
            with anyio.CancelScope(shield=True):
                while len(self._normal) >= self._high and self._ended is None:
                    self._room = anyio.Event() if self._room.is_set() else self._room
                    await self._room.wait()
        finally:
            self.waiting -= 1


def _fresh(error: AuditUnwritable) -> AuditUnwritable:
    """A new instance for each raise, since an exception carries the traceback of one raise only."""
    fresh = AuditUnwritable(*error.args)
    fresh.__cause__ = error
    return fresh
