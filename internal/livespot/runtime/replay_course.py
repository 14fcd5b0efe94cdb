"""The course of one life: from its first callback to its orderly end or its sudden death."""

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
    """Kill a life after its `point`-th scheduling point, or `after_ms` from its birth.

    `due` is asked at each of its points whether it is to die there. The next life is born
    `down_ms` later. With `power_cut` the whole machine fails: what was not synced is lost.
    """

    point: int | None = None
    after_ms: int | None = None
    due: Callable[[int], bool] | None = None
    down_ms: int = 1000
    power_cut: bool = False


@dataclass(slots=True, kw_only=True)
class Course:
    """Runs one life in a context of its own, so that it can be killed without touching others."""

    loop: VirtualLoop
    life: Life
    number: int
    death: Death | None
    end_ms: int
    _over: anyio.Event = field(default_factory=anyio.Event)

    async def run(self) -> ExitCode | None:
        """How the life ended, or None when it was killed. Raises what broke it."""
        context = copy_context()
        context.run(LIFE.set, self.number)
        task = self.loop.create_task(self.life.run(), context=context)
        task.add_done_callback(lambda _: self._over.set(), context=copy_context())
        stop = self.loop.call_at_ns(self.end_ms * NS_PER_MS, self.stop, context)
        self._expect(self.death)
        await self._over.wait()
        stop.cancel()
        return task.result() if task.done() else None

    def stop(self, why: str = "the asked span is over") -> bool:
        """Ask for an ordered end; false when the life is not up yet, and goes on."""
        if self.life.system is None:
            return False
        self.life.system.stop(ReasonCode.OPERATOR_STOP, why)
        return True

    def _expect(self, death: Death | None) -> None:
        if death is None:
            return
        point = death.point
        if death.due is not None:
            self.loop.doom(self.number, death.due, self._over.set)
        elif point is not None:
            self.loop.doom(self.number, lambda passed: passed >= point, self._over.set)
        if death.after_ms is not None:
            at_ns = self.loop.now_ns + death.after_ms * NS_PER_MS
            self.loop.call_at_ns(at_ns, self._die, None)

    def _die(self) -> None:
        self.loop.kill(self.number)
        self._over.set()
