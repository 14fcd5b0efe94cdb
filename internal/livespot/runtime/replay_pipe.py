"""One direction of an in-process connection: items come out in order, a little later."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import Generic, TypeVar

import anyio

from livespot.contracts.errors import Unreachable
from livespot.contracts.ports import Entropy
from livespot.runtime.replay_loop import VirtualLoop

T = TypeVar("T")

# About as many frames as a client's library and the kernel buffer before the sender must wait.
_MOST_WAITING = 2048
_NS_PER_US = 1000


class Latency:
    """Draws how long bytes travel, in whole microseconds, once for every instant of sending."""

    def __init__(
        self, entropy: Entropy, *, shortest_us: int = 1000, longest_us: int = 5000
    ) -> None:
        self._entropy = entropy
        self._bounds = (shortest_us, longest_us)

    def draw_ns(self) -> int:
        return round(self._entropy.uniform(*self._bounds)) * _NS_PER_US


class Pipe(Generic[T]):
    """A writer's and a reader's end. A close arrives behind everything sent before it."""

    def __init__(self, loop: VirtualLoop, latency: Latency) -> None:
        self._loop = loop
        self._latency = latency
        self._items: deque[tuple[int, T | None]] = deque()
        self._room = anyio.Event()
        self._reader: asyncio.Future[None] | None = None
        self._context: Context | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent_ns = -1
        self._due_ns = 0
        self._closed = False
        self._cut = False

    @property
    def closed(self) -> bool:
        """Whether nothing more can be put in."""
        return self._closed

    async def put(self, item: T) -> None:
        """Wait for room, then send. Raises `Unreachable` once closed."""
        await self.put_all((item,))

    async def put_all(self, items: Iterable[T]) -> None:
        """Send several items, each of which waits for room of its own."""
        for item in items:
            while len(self._items) >= _MOST_WAITING and not self._closed:
                self._room = anyio.Event() if self._room.is_set() else self._room
                await self._room.wait()
            if self._closed:
                raise Unreachable("the connection is closed")
            self._append(item)

    def close(self) -> None:
        """Send nothing more; the reader learns of it after what is under way."""
        if not self._closed:
            self._closed = True
            self._append(None)
            self._room.set()

    def cut(self) -> None:
        """Drop what is under way; the reader finds the connection gone at once."""
        self._closed = self._cut = True
        self._items.clear()
        self._room.set()
        self._wake()

    async def get(self) -> T:
        """Return the next item once it has arrived. Raises `Unreachable` after the last one."""
        while (item := self.get_nowait()) is None:
            self._reader = self._loop.create_future()
            # Timers belong to the reader's context: the writer may be killed meanwhile.
            self._context = copy_context()
            self._arm()
            try:
                await self._reader
            finally:
                self._reader = None
                self._disarm()
        return item

    def get_nowait(self) -> T | None:
        """Return an item that has arrived, or None. Raises `Unreachable` after the last one."""
        items = self._items
        if not items:
            if self._cut:
                raise Unreachable("the connection was lost")
            return None
        due_ns, item = items[0]
        if due_ns > self._loop.now_ns:
            return None
        if item is None:
            raise Unreachable("the connection was closed")
        items.popleft()
        if not self._room.is_set():
            self._room.set()
        return item

    def _append(self, item: T | None) -> None:
        now_ns = self._loop.now_ns
        if now_ns != self._sent_ns:
            self._sent_ns = now_ns
            self._due_ns = max(self._due_ns, now_ns + self._latency.draw_ns())
        self._items.append((self._due_ns, item))
        if self._reader is not None and self._timer is None:
            self._arm()

    def _arm(self) -> None:
        if self._items:
            self._timer = self._loop.call_at_ns(self._items[0][0], self._wake, self._context)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
