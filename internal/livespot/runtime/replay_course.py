"""Runs one process life of a replay, to its orderly end or its sudden death."""

from asyncio import Task
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field

import anyio

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.runtime.replay_life import Life
from livespot.runtime.replay_loop import LIFE, NS_PER_MS, VirtualLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """When and how a life dies: at its `point`-th scheduling point, or `after_ms` from its birth.

    With `due`, it dies at the first point for which that returns true. The next life begins
    `down_ms` later. With `power_cut` the machine fails: everything not synced is lost. If `cancels`
    returns true at that moment, the life is cancelled instead of killed: it ends wherever it is,
    and cleans up.
    """

    point: int | None = None
    after_ms: int | None = None
    due: Callable[[int], bool] | None = None
    down_ms: int = 1000
    power_cut: bool = False
    cancels: Callable[[], bool] = lambda: False


@dataclass(slots=True, kw_only=True)
class Course:
    """Runs one life in a context of its own, so that it can be killed without affecting others.

    `cancelled_ms` is when it was cancelled, counted from the start of the replay.
    """

    loop: VirtualLoop
    life: Life
    number: int
    death: Death | None
    end_ms: int
    cancelled_ms: int | None = None
    _over: anyio.Event = field(default_factory=anyio.Event)

    async def run(self) -> ExitCode | None:
        """Run the life; returns its exit code, None when it was killed. Raises what broke it."""
        context = copy_context()
        context.run(LIFE.set, self.number)
        task = self.loop.create_task(self.life.run(), context=context)
        task.add_done_callback(lambda _: self._over.set(), context=copy_context())
        stop = self.loop.call_at_ns(self.end_ms * NS_PER_MS, self.stop, context)
        self._expect(self.death, task)
        await self._over.wait()
        stop.cancel()
        return task.result() if task.done() and not task.cancelled() else None

    def stop(self, why: str = "the asked span is over") -> bool:
        """Ask for an ordered end; False when the life has not got as far as having a system."""
        if self.life.system is None:
            return False
        self.life.system.stop(ReasonCode.OPERATOR_STOP, why)
        return True

    def _expect(self, death: Death | None, task: "Task[ExitCode]") -> None:
        if death is None:
            return

        def spares() -> bool:
            if death.cancels():
                self.cancelled_ms = self.loop.now_ns // NS_PER_MS
                return task.cancel()
            self._over.set()
            return False

        def die() -> None:
            if not spares():
                self.loop.kill(self.number)

        point = death.point
        if death.due is not None:
            self.loop.doom(self.number, death.due, spares)
        elif point is not None:
            self.loop.doom(self.number, lambda passed: passed >= point, spares)
        if death.after_ms is not None:
            at_ns = self.loop.now_ns + death.after_ms * NS_PER_MS
            self.loop.call_at_ns(at_ns, die, None)
