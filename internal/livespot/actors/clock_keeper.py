"""Keeps the exchange's time: measures at an interval and says when the offset moves.

Reads: the exchange's time, both clocks of the machine, how often the account's connection was had
again. Writes: TIME_SYNC events, `HealthSignal` CLOCK, a warning about a constant offset, a PAUSE
after the machine slept. Owns: nothing but when it last measured.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskStatus

from livespot.actors.heart import while_beating
from livespot.actors.mail import GovernorInbox
from livespot.actors.reconnections import Reconnections
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
# More than this between the wall clock's seconds and the steady ones, and the time is read at once.
_STEP_MS = 200
_SLEPT_MS = 5_000
_SLEPT_RETRY_MS = 1_000


class _Steps:
    """By how much the wall clock has run away from the steady one since it was last asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart_ms = self._now()

    def ms(self) -> int:
        return self._now() - self._apart_ms

    def forget(self) -> None:
        self._apart_ms = self._now()

    def _now(self) -> int:
        return self._clock.now_ms() - self._clock.monotonic_ms()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockKeeper:
    settings: TimeSettings
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    governor: Mailbox[GovernorInbox]
    beat: Callable[[], None]
    reconnections: Reconnections = field(default_factory=Reconnections)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Measure until cancelled. The first measurement happens before anybody signs."""
        # Without a first measurement every signature is a guess, so the next one comes at once.
        patience_ms = self.settings.sync_interval_ms if self.server_clock.synced else 0
        due_ms = self.clock.monotonic_ms() + patience_ms
        # Also after a restart: the governor may still hold the complaint of the life before.
        unsure = slept = True
        failed = told = False
        steps = _Steps(self.clock)
        seen_ms = self._offset_ms()
        met = self.reconnections.count
        task_status.started()
        while True:
            self.beat()
            await self.clock.sleep(_BEAT_SECONDS)
            if met != self.reconnections.count:
                # The way to the exchange may be another one now.
                met, due_ms = self.reconnections.count, min(due_ms, self.clock.monotonic_ms())
            # Whoever was refused for the time has measured as well, and tells nobody.
            unseen = self._unseen_ms(seen_ms)
            calm = abs(steps.ms()) <= _STEP_MS and unseen <= self.settings.clock_drift_max_ms
            if self.clock.monotonic_ms() < due_ms and (calm or failed):
                continue
            known = self.server_clock.synced
            try:
                if seen_ms is not None and not told and abs(steps.ms()) >= _SLEPT_MS:
                    unsure = True
                    told = await self._wake(steps, seen_ms, again=failed)
                moved = await while_beating(self.clock, self.beat, self.server_clock.resync)
            except (Transient, Refused, PayloadInvalid) as error:
                # What the clocks show is kept: only a measurement tells a sleep from a step.
                wait_ms = _SLEPT_RETRY_MS if abs(steps.ms()) >= _SLEPT_MS else _RETRY_MS
                due_ms = self.clock.monotonic_ms() + wait_ms
                await self._say(SignalLevel.DEGRADE, ReasonCode.TIME_SYNC_FAIL, 0, str(error))
                unsure = failed = True
                continue
            failed = False
            due_ms = self.clock.monotonic_ms() + self.settings.sync_interval_ms
            moved, seen_ms = max(moved, unseen, key=abs), self._offset_ms()
            if known:
                slept = told or await self._tell_sleep(steps.ms(), moved, told=slept)
            told = False
            steps.forget()
            jumped = abs(moved) > self.settings.clock_drift_max_ms
            if jumped or slept:
                due_ms = self.clock.monotonic_ms() + _RETRY_MS
            if jumped:
                await self._say(SignalLevel.DEGRADE, ReasonCode.CLOCK_DRIFT_WARN, abs(moved), "")
            elif unsure:
                await self._say(SignalLevel.CLEAR, ReasonCode.CLOCK_DRIFT_WARN, abs(moved), "")
            unsure = jumped
            await self._record(moved)

    def _offset_ms(self) -> int | None:
        return self.server_clock.offset_ms if self.server_clock.synced else None

    def _unseen_ms(self, seen_ms: int | None) -> int:
        """How far the offset has moved since it was looked at here."""
        now_ms = self._offset_ms()
        return 0 if seen_ms is None or now_ms is None else abs(now_ms - seen_ms)

    async def _wake(self, steps: _Steps, seen_ms: int, *, again: bool) -> bool:
        """Whether one answer, however slow, shows that the machine slept; if so it is told.

        A whole measurement takes five quick answers. Until then the time is in doubt, and what
        was decided before must not be sent.
        """
        if not again:
            apart_ms = steps.ms()
            text = f"this machine's clocks ran apart by {apart_ms} ms; the time is being asked for"
            await self._say(SignalLevel.DEGRADE, ReasonCode.CLOCK_DRIFT_WARN, abs(apart_ms), text)
        asked_ms = self.clock.monotonic_ms()
        offset_ms = await while_beating(self.clock, self.beat, self.server_clock.glance)
        error_ms = (self.clock.monotonic_ms() - asked_ms) // 2
        return await self._tell_sleep(steps.ms(), abs(offset_ms - seen_ms) + error_ms, told=False)

    async def _tell_sleep(self, stepped_ms: int, moved: int, *, told: bool) -> bool:
        """Whether the machine slept: the wall went on, and the offset to the exchange did not move.

        Then nobody watched, and what was known is old: PAUSE, withdrawn by the next measurement,
        so that only the operator ends it.
        """
        slept = stepped_ms >= _SLEPT_MS and abs(moved) < stepped_ms // 2
        text = f"this machine slept for {stepped_ms // 1000} s; nobody watched meanwhile"
        if slept or told:
            await self.governor.send(
                HealthSignal(
                    kind=SignalKind.CLOCK,
                    level=SignalLevel.PAUSE if slept else SignalLevel.CLEAR,
                    reason=ReasonCode.SUSPEND_DETECTED,
                    source="sleep",
                    value=stepped_ms if slept else 0,
                    threshold=_SLEPT_MS,
                    unit="ms",
                    detail=text if slept else "",
                    at_ms=self.clock.now_ms(),
                )
            )
        if slept:
            await self.governor.send(
                Alert(
                    severity=Severity.CRIT,
                    code=ReasonCode.SUSPEND_DETECTED,
                    reasons=(),
                    text=text,
                    at_ms=self.clock.now_ms(),
                )
            )
        return slept

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
