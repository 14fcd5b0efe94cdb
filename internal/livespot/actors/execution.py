"""The only owner of mutations: entries, protections, closes and cancels leave through here.

*Reads* approved entries, wishes of the position, what stream and REST say of orders. *Writes* the
intents ledger, orders and fills. *Owns* the belief about every order of ours.
"""

from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from livespot.actors.execution_life import ExecutionLife
from livespot.actors.execution_ports import Crew, ExecutionPorts
from livespot.actors.execution_work import Received, Tick, Work
from livespot.rules.due import NEVER, step_at

STEP_MS = 100
LOOK_MS = 500
_LAST_WRITES_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(ExecutionPorts):
    """Restarting it is recovery: everything it knows comes from the ledger and the exchange."""

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until the inbox is closed and drained.

        Mutations under way are shielded: they end by their own limit, and their outcome is made
        durable before this returns, cancelled or not.
        """
        life: ExecutionLife | None = None
        try:
            async with anyio.create_task_group() as tasks:
                crew: Crew[Work] = Crew(tasks)
                life = ExecutionLife(self, crew)
                # Where both of its hands are empty, it would answer: no beat has to show it.
                self.inbox.read_for(lambda: crew.is_waited_at)
                self.gate.tell(self.inbox.nudge)
                tasks.start_soon(self._pump, crew, life)
                task_status.started()
                await life.serve()
                tasks.cancel_scope.cancel()
        finally:
            if life is not None:
                with self.clock.move_on_after(_LAST_WRITES_S, shield=True):
                    await life.finish()

    async def _pump(self, crew: Crew[Work], life: ExecutionLife) -> None:
        """Messages and ticks from one hand, a tick at the first step at which one has work to do.

        While anything is pending, what is due is asked anew twice a second at least.
        """
        begun_ms = ticked_ms = now = self.clock.monotonic_ms()
        while True:
            life.awaited_ms = due_ms = life.due_ms()
            step_ms = step_at(ticked_ms, max(due_ms, now), STEP_MS)
            wait_ms = min(step_ms - now, LOOK_MS) if due_ms < NEVER else None
            try:
                message = await self.inbox.receive_within(_seconds(wait_ms))
            except anyio.EndOfStream:
                crew.put(Received(message=None))
                return
            if message is not None:
                await crew.put_and_wait(Received(message=message))
            now = self.clock.monotonic_ms()
            # A wait may end a little late: what was due at the step is due now.
            if step_ms <= now and life.due_ms() <= now:
                ticked_ms = now - (now - begun_ms) % STEP_MS
                await crew.put_and_wait(Tick())
                now = self.clock.monotonic_ms()


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
