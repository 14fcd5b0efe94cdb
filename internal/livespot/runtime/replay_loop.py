"""An event loop whose time jumps to the next timer: no clock, selector, thread or socket."""

import asyncio
import heapq
import math
from asyncio.base_events import BaseEventLoop
from asyncio.tasks import _unregister_task
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

import anyio
from anyio._backends._asyncio import CancelScope

from livespot.contracts.ports import Entropy
from livespot.exchange.prng_ahead import DrawnAhead

T = TypeVar("T")
Args = TypeVarTuple("Args")
NS_PER_MS = 1_000_000
_NS_PER_SECOND = 1_000_000_000
_FEWEST_STALE = 100
_MOST_POINTS_AT_ONE_INSTANT = 2_000_000

# The life of the runtime that a callback belongs to; 0 for everything that outlives lives.
LIFE: ContextVar[int] = ContextVar("LIFE", default=0)


class VirtualDeadlock(RuntimeError):
    """Nothing is ready and no timer is set, so nothing can ever happen again."""


class VirtualLivelock(RuntimeError):
    """Callbacks keep scheduling each other while time stands still."""


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks are always iterated in one order.

    `life` is the life that started it.
    """

    def __init__(self, coro: Any, *, loop: "VirtualLoop", **rest: Any) -> None:
        self.number = loop.number_task()
        context: Context | None = rest.get("context")
        self.life = LIFE.get() if context is None else context.get(LIFE, 0)
        super().__init__(coro, loop=loop, **rest)

    def __hash__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        # Each cancellation formats its message with this; the default text would walk the frames.
        return f"<task {self.number} of life {self.life}>"


class _Ready(asyncio.Handle):
    """A callback waiting for its turn, without the fields that only debugging uses."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: "VirtualLoop",
        context: Context,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    """A timer while whose callback runs the loop's time is at least the deadline asked for."""

    __slots__ = ()

    _loop: "VirtualLoop"

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: "VirtualLoop",
        context: Context | None,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = self._scheduled = False
        self._repr = None
        self._source_traceback = None

    def cancel(self) -> None:
        if self._cancelled:
            return
        self._cancelled = True
        # A timer that has fired is in no heap any more.
        self._loop.stale += self._scheduled
        # As the stock handle does, drop the references that the callback holds.
        self._callback = self._args = None  # type: ignore[assignment]

    def _run(self) -> None:
        loop = self._loop
        if self._when > loop.now_s:
            loop.now_s = self._when
        super()._run()
        loop.now_s = loop.now_ns / _NS_PER_SECOND


class VirtualLoop(BaseEventLoop):
    """Single-threaded by construction: whatever needs the kernel raises.

    Time is counted in whole nanoseconds. With `entropy`, ready callbacks run in a drawn order;
    without, in the order in which they became ready. Each callback run is a scheduling point.
    """

    _ready: deque[asyncio.Handle]
    _stopping: bool

    # Asked by each new future and task; `bool()` answers False without a Python call.
    get_debug = staticmethod(bool)

    def __init__(self, entropy: Entropy | None = None) -> None:
        super().__init__()
        self.now_ns = 0
        self.now_s = 0.0
        self.points = 0
        self.points_of: dict[int, int] = {}
        self.broken: list[dict[str, Any]] = []
        self._dice = None if entropy is None else DrawnAhead(entropy.hex(16))
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._timer_number = 0
        self.stale = 0
        self._tasks_born = 0
        self._dead: set[int] = set()
        # Whether any life is dead or doomed, so that the check can be skipped otherwise.
        self._mortal = False
        self._doom: dict[int, tuple[Callable[[int], bool], Callable[[], object]]] = {}
        # Due callbacks of sleeping lives, in the order in which they became due.
        self._asleep: dict[int, list[asyncio.Handle]] = {}
        self._too_many_points = _MOST_POINTS_AT_ONE_INSTANT
        self.set_task_factory(_numbered)
        self.set_exception_handler(_remember)

    def time(self) -> float:
        """Return seconds since the loop began; inside a timer's callback, at least its deadline."""
        return self.now_s

    @property
    def timers(self) -> int:
        """The number of timers set, including cancelled ones not yet removed."""
        return len(self._timers)

    def tasks_of(self, life: int) -> int:
        """Return how many tasks of this life have not ended."""
        tasks = asyncio.all_tasks(self)
        return sum(isinstance(task, NumberedTask) and task.life == life for task in tasks)

    def number_task(self) -> int:
        """Return the next task's number."""
        self._tasks_born += 1
        return self._tasks_born

    def call_soon(
        self,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = _Ready(callback, args, self, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def _call_soon(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        if when == math.inf:
            return timer
        return self._set(round(when * _NS_PER_SECOND), timer)

    def call_at_ns(
        self, at_ns: int, callback: Callable[..., object], context: Context | None
    ) -> asyncio.TimerHandle:
        """Like `call_at` with an exact instant; timers of one instant fire in the order given."""
        timer = _Timer(at_ns / _NS_PER_SECOND, callback, (), self, context)
        return self._set(at_ns, timer)

    def doom(self, life: int, due: Callable[[int], bool], then: Callable[[], object]) -> None:
        """Kill a life once `due` of its number of points so far is true, unless `then` spares it.

        `due` is called before each callback of the life. `then` is called once, between two
        callbacks; returning something true spares the life. Both run outside every life's context.
        """
        self._doom[life] = (due, then)
        self._mortal = True

    def kill(self, life: int) -> None:
        """Run nothing of this life any more: no callback, and no `finally` block."""
        self._dead.add(life)
        self._mortal = True
        for task in asyncio.all_tasks(self):
            if isinstance(task, NumberedTask) and task.life == life:
                # Keep the task: collecting it would run its `finally` blocks.
                _unregister_task(task)
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
                _GRAVEYARD.append(task)

    def put_to_sleep(self, life: int) -> None:
        """Run nothing of this life until it is woken; what becomes due meanwhile waits."""
        self._asleep.setdefault(life, [])

    def wake(self, life: int) -> None:
        """Make everything ready that became due while the life slept."""
        self._ready.extend(self._asleep.pop(life, ()))

    def close(self) -> None:
        self._timers.clear()
        super().close()

    def _write_to_self(self) -> None:
        """Do nothing: there is no selector to wake."""

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        """Track only generators that are of no life.

        A live one closes its own generators, and a dead one must not run them again.
        """
        if not LIFE.get():
            super()._asyncgen_firstiter_hook(agen)  # type: ignore[misc]

    def _process_events(self, event_list: object) -> None:
        """Do nothing: there are no I/O events."""

    def run_in_executor(
        self, executor: object, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        raise RuntimeError("virtual time has no threads")

    def _run_once(self) -> None:
        """Do one round like the stock loop: due timers become ready, then what is ready runs."""
        ready, timers = self._ready, self._timers
        if self.stale > _FEWEST_STALE and self.stale * 2 > len(timers):
            self._drop_stale()
        if not ready and not self._stopping:
            self._jump()
        elif timers and timers[0][0] <= self.now_ns:
            self._release_due()
        passed = self.points_of
        take = ready.popleft if self._dice is None else self._draw
        for _ in range(len(ready)):
            handle: Any = take()
            if handle._cancelled:  # noqa: SLF001  what the stock loop asks, here and below
                continue
            life = handle._context.get(LIFE, 0)  # noqa: SLF001
            if life:
                if self._mortal and not self._lives(life):
                    continue
                if life in self._asleep:
                    self._asleep[life].append(handle)
                    continue
                passed[life] = passed.get(life, 0) + 1
            self.points += 1
            handle._run()  # noqa: SLF001
        if self.points > self._too_many_points:
            raise VirtualLivelock(f"time stands still at {self.now_s} s")

    def _lives(self, life: int) -> bool:
        """Whether this life may run another callback."""
        passed = self.points_of.get(life, 0)
        if life in self._doom and self._doom[life][0](passed):
            _, then = self._doom.pop(life)
            if not then():
                self.kill(life)
        return life not in self._dead

    def _set(self, at_ns: int, timer: asyncio.TimerHandle) -> asyncio.TimerHandle:
        self._timer_number += 1
        heapq.heappush(self._timers, (at_ns, self._timer_number, timer))
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001  counted when stale
        return timer

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
            self.stale -= 1
        if not timers:
            raise VirtualDeadlock(f"nothing can happen any more at {self.time()} s")
        if timers[0][0] > self.now_ns:
            self.now_ns = timers[0][0]
            self.now_s = self.now_ns / _NS_PER_SECOND
            self._too_many_points = self.points + _MOST_POINTS_AT_ONE_INSTANT
        self._release_due()

    def _release_due(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self.now_ns:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001  see _set
            if timer._cancelled:  # noqa: SLF001
                self.stale -= 1
            else:
                self._ready.append(timer)

    def _drop_stale(self) -> None:
        self._timers[:] = [entry for entry in self._timers if not entry[2].cancelled()]
        heapq.heapify(self._timers)
        self.stale = 0

    def _draw(self) -> asyncio.Handle:
        ready = self._ready
        if self._dice is not None and len(ready) > 1:
            drawn = self._dice.below(len(ready))
            if drawn:
                ready[0], ready[drawn] = ready[drawn], ready[0]
        return ready.popleft()


# Tasks of killed lives, kept until the process ends.
_GRAVEYARD: list[asyncio.Task[Any]] = []


def _numbered(loop: asyncio.AbstractEventLoop, coro: Any, **rest: Any) -> NumberedTask:
    if not isinstance(loop, VirtualLoop):
        raise TypeError("numbered tasks live on a virtual loop")
    return NumberedTask(coro, loop=loop, **rest)


def _remember(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(loop, VirtualLoop):
        loop.broken.append(context)


@contextmanager
def orderly_cancellation() -> Iterator[None]:
    """Make anyio deliver cancellations in the order in which tasks were created.

    It keeps nested scopes in a set, which iterates by address and thus differs from run to run. A
    scope is in such a set only while it is active, and then it has a host task, which has a number.
    """
    kind = CancelScope
    kind.__hash__ = _hash_of_scope  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del kind.__hash__


def _hash_of_scope(scope: Any) -> int:
    host = scope._host_task  # noqa: SLF001  see orderly_cancellation
    return hash(host) if host is not None else 0


def run_virtually(loop: VirtualLoop, main: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Run `main` to its end on this loop, which is closed afterwards.

    Raises `VirtualDeadlock`, `VirtualLivelock`, and `RuntimeError` for what a callback raised.
    """
    with orderly_cancellation():
        result = anyio.run(main, *args, backend_options={"loop_factory": lambda: loop})
    if loop.broken:
        first = loop.broken[0]
        raise RuntimeError(f"{first.get('message')}") from first.get("exception")
    return result
