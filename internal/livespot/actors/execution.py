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

_TICK_MS = 100
_MOST_SKIPPED = 5
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
                tasks.start_soon(self._pump, crew, life)
                task_status.started()
                await life.serve()
                tasks.cancel_scope.cancel()
        finally:
            if life is not None:
                with self.clock.move_on_after(_LAST_WRITES_S, shield=True):
                    await life.finish()

    async def _pump(self, crew: Crew[Work], life: ExecutionLife) -> None:
        """Messages and ticks from one hand: when the inbox is not read, the heart must not beat.

        Idle ticks would do nothing; some go through to show that the actor still answers.
        """
        skipped = 0
        next_ms = self.clock.monotonic_ms() + _TICK_MS
        while True:
            left_ms = max(0, next_ms - self.clock.monotonic_ms())
            try:
                message = await self.inbox.receive_within(left_ms / 1000)
            except anyio.EndOfStream:
                crew.put(Received(message=None))
                return
            if message is not None:
                await crew.put_and_wait(Received(message=message))
            now = self.clock.monotonic_ms()
            if now < next_ms:
                continue
            next_ms = now + _TICK_MS
            skipped = skipped + 1 if life.idle else _MOST_SKIPPED
            if skipped >= _MOST_SKIPPED:
                skipped = 0
                await crew.put_and_wait(Tick())
