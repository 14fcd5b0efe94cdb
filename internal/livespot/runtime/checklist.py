"""The start checklist: conditions for the first entry, checked until all of them hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.ports import Clock
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import EventType, Severity, SignalKind, SignalLevel, Stage
from livespot.runtime.mailboxes import Mailbox

_LOOK_SECONDS = 0.5
_PATIENCE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One condition of the checklist; `holds` is called until it returns true."""

    name: str
    holds: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """Withdraws the CHECKLIST signal, which holds entries back, once every point holds.

    `proven` names what was shown before the start; it is recorded with the points. `manage_only`
    gives reasons why entries stay closed for the whole run; with any, the signal is never
    withdrawn.
    """

    points: Sequence[Point]
    manage_only: tuple[str, ...]
    proven: tuple[str, ...] = ()
    clock: Clock
    audit: AuditPort
    governor: Mailbox[GovernorInbox]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Check until every point holds; raise one alert when that takes too long."""
        task_status.started()
        if self.manage_only:
            await self._complain("; ".join(self.manage_only))
            return
        begun = self.clock.monotonic_ms()
        complained = False
        while missing := [point.name for point in self.points if not point.holds()]:
            if not complained and self.clock.monotonic_ms() - begun > _PATIENCE_MS:
                complained = True
                await self._complain("still missing: " + ", ".join(missing))
            await self.clock.sleep(_LOOK_SECONDS)
        await self._passed()

    async def _passed(self) -> None:
        now = self.clock.now_ms()
        await self.audit.commit(
            AuditEntry(
                draft=AuditDraft(
                    event_type=EventType.STAGE_CHANGED,
                    stage=Stage.DOCTOR_CHECKS,
                    ts_ms=now,
                    data={"checklist": [*(point.name for point in self.points), *self.proven]},
                )
            )
        )
        await self.governor.send(
            HealthSignal(
                kind=SignalKind.CHECKLIST,
                level=SignalLevel.CLEAR,
                reason=ReasonCode.CHECKLIST_FAILED,
                source="checklist",
                at_ms=now,
            )
        )

    async def _complain(self, text: str) -> None:
        now = self.clock.now_ms()
        await self.governor.send(
            Alert(
                severity=Severity.CRIT,
                code=ReasonCode.CHECKLIST_FAILED,
                reasons=(),
                text=text,
                at_ms=now,
            )
        )
        await self.governor.send(
            HealthSignal(
                kind=SignalKind.CHECKLIST,
                level=SignalLevel.DEGRADE,
                reason=ReasonCode.CHECKLIST_FAILED,
                source="checklist",
                detail=text,
                at_ms=now,
            )
        )
