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

TICK_MS = 100
IDLE_TICK_MS = 500
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

        Idle ticks would do nothing and are left out, but the actor shows that it would answer.
        """
        begun_ms = ticked_ms = now = self.clock.monotonic_ms()
        while True:
            due_ms = next_tick_ms(ticked_ms, now, idle=life.idle)
            left_ms = max(0, due_ms - self.clock.monotonic_ms())
            try:
                message = await self.inbox.receive_within(left_ms / 1000)
            except anyio.EndOfStream:
                crew.put(Received(message=None))
                return
            if message is not None:
                await crew.put_and_wait(Received(message=message))
            now = self.clock.monotonic_ms()
            # A wait may end a little late: what was due then is due now.
            if now < min(due_ms, next_tick_ms(ticked_ms, now, idle=life.idle)):
                continue
            ticked_ms = now - (now - begun_ms) % TICK_MS
            if life.idle and crew.is_awaited:
                self.beat()
            else:
                await crew.put_and_wait(Tick())


def next_tick_ms(ticked_ms: int, now_ms: int, *, idle: bool) -> int:
    """When a tick is due after the last one: now and then in idle times, else at the next step.

    Steps are `TICK_MS` apart, so one that was left out is not made up for.
    """
    if idle:
        return ticked_ms + IDLE_TICK_MS
    behind = max(1, -((ticked_ms - now_ms) // TICK_MS))
    return ticked_ms + behind * TICK_MS
