"""Keeps the exchange's time: measures at an interval and says when the offset moves.

Reads: the exchange's time. Writes: TIME_SYNC events, `HealthSignal` CLOCK, a warning about a
constant offset. Owns: nothing but when it last measured.
"""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from livespot.actors.heart import while_beating
from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import PayloadInvalid, Refused, Transient
from livespot.contracts.ports import Clock
from livespot.contracts.settings import TimeSettings
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.venue import ServerClock
from livespot.contracts.vocabulary import EventType, Severity, SignalKind, SignalLevel, Stage
from livespot.runtime.mailboxes import Mailbox

_BEAT_SECONDS = 1.0
_RETRY_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockKeeper:
    settings: TimeSettings
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    governor: Mailbox[GovernorInbox]
    beat: Callable[[], None]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Measure until cancelled. The first measurement happens before anybody signs."""
        # Without a first measurement every signature is a guess, so the next one comes at once.
        patience_ms = self.settings.sync_interval_ms if self.server_clock.synced else 0
        due_ms = self.clock.monotonic_ms() + patience_ms
        # Also after a restart: the governor may still hold the complaint of the life before.
        unsure = True
        task_status.started()
        while True:
            self.beat()
            await self.clock.sleep(_BEAT_SECONDS)
            if self.clock.monotonic_ms() < due_ms:
                continue
            try:
                moved = await while_beating(self.clock, self.beat, self.server_clock.resync)
            except (Transient, Refused, PayloadInvalid) as error:
                due_ms = self.clock.monotonic_ms() + _RETRY_MS
                await self._say(SignalLevel.DEGRADE, ReasonCode.TIME_SYNC_FAIL, 0, str(error))
                unsure = True
                continue
            due_ms = self.clock.monotonic_ms() + self.settings.sync_interval_ms
            jumped = abs(moved) > self.settings.clock_drift_max_ms
            if jumped:
                due_ms = self.clock.monotonic_ms() + _RETRY_MS
                await self._say(SignalLevel.DEGRADE, ReasonCode.CLOCK_DRIFT_WARN, abs(moved), "")
            elif unsure:
                await self._say(SignalLevel.CLEAR, ReasonCode.CLOCK_DRIFT_WARN, abs(moved), "")
            unsure = jumped
            await self._record(moved)

    async def _record(self, moved: int) -> None:
        offset = self.server_clock.offset_ms
        await self.audit.record(
            AuditEntry(
                draft=AuditDraft(
                    event_type=EventType.TIME_SYNC,
                    stage=Stage.STATE_UPDATE,
                    ts_ms=self.clock.now_ms(),
                    data={"offset_ms": offset, "moved_ms": moved},
                )
            )
        )
        # A constant offset is compensated; the operator should still set the machine's clock.
        if abs(offset) > self.settings.clock_drift_max_ms:
            await self.governor.send(
                Alert(
                    severity=Severity.WARN,
                    code=ReasonCode.CLOCK_DRIFT_WARN,
                    reasons=(),
                    text=f"this machine's clock differs from the exchange's by {offset} ms",
                )
            )

    async def _say(self, level: SignalLevel, code: ReasonCode, moved: int, detail: str) -> None:
        await self.governor.send(
            HealthSignal(
                kind=SignalKind.CLOCK,
                level=level,
                reason=code,
                source="offset",
                value=moved,
                threshold=self.settings.clock_drift_max_ms,
                unit="ms",
                detail=detail,
                at_ms=self.clock.now_ms(),
            )
        )
