"""Tells listeners that fell behind what they missed, and demands DEGRADE until they know it."""

from collections.abc import Awaitable, Callable

from livespot.actors.announcements import Lane
from livespot.actors.execution_ports import Crew, ExecutionPorts
from livespot.actors.execution_work import Tick, Work
from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import Severity, SignalKind, SignalLevel
from livespot.rules.due import AT_ONCE, NEVER


class CatchingUp:
    """One job for each lane that is behind; it waits for room as long as it takes.

    The governor's own lane raises no demand: nobody else could hear it, and an actor that hangs is
    the watchdog's to notice.
    """

    def __init__(self, ports: ExecutionPorts, crew: Crew[Work]) -> None:
        self._ports = ports
        self._crew = crew
        self._at_work: set[str] = set()
        self._demanded: set[str] = set()

    @property
    def due_ms(self) -> int:
        return AT_ONCE if self._left() or self._demanded - self._at_work else NEVER

    async def tick(self) -> None:
        """Begin wherever nobody is at work; withdraw the demand where everything has been told."""
        for lane in self._left():
            self._at_work.add(lane.name)
            self._crew.start(self._job(lane))
            await self._complain(lane)
        for name in sorted(self._demanded - self._at_work):
            self._demanded.discard(name)
            await self._demand(name, SignalLevel.CLEAR, f"{name} has been told everything")

    def _left(self) -> list[Lane]:
        return [lane for lane in self._ports.announced.behind() if lane.name not in self._at_work]

    def _job(self, lane: Lane) -> Callable[[], Awaitable[Work]]:
        async def job() -> Work:
            await lane.deliver()
            self._at_work.discard(lane.name)
            return Tick()

        return job

    async def _complain(self, lane: Lane) -> None:
        name = lane.name
        if name in self._demanded or name == self._ports.governor.name:
            return
        self._demanded.add(name)
        text = f"{name} takes no messages: {len(lane.messages)} about fills and orders wait"
        await self._ports.alert(Severity.WARN, ReasonCode.LOOP_STUCK_DEGRADE, text)
        await self._demand(name, SignalLevel.DEGRADE, text)

    async def _demand(self, listener: str, level: SignalLevel, detail: str) -> None:
        await self._ports.demand(
            SignalKind.INTENT,
            level,
            ReasonCode.LOOP_STUCK_DEGRADE,
            source=f"untold:{listener}",
            detail=detail,
        )
