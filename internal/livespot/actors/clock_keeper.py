"""Measures the exchange's time at an interval and reports when the offset moves.

Reads: the exchange's time, both clocks of the machine, the reconnections of the account's stream.
Writes: TIME_SYNC events, `HealthSignal` CLOCK, a warning about a constant offset, a PAUSE after the
machine slept. Owns: nothing but the time of its last measurement.
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
# When the wall clock and the monotonic clock drift apart by more, the time is measured at once.
_STEP_MS = 200
_SLEPT_MS = 5_000
_SLEPT_RETRY_MS = 1_000


class _Steps:
    """How far the wall clock has moved against the monotonic clock since the last `forget`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart_ms = self._difference_ms()

    def ms(self) -> int:
        return self._difference_ms() - self._apart_ms

    def forget(self) -> None:
        self._apart_ms = self._difference_ms()

    def _difference_ms(self) -> int:
        return self._clock.now_ms() - self._clock.monotonic_ms()


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What is carried from one measurement to the next; times are monotonic ms.

    `seen_ms` is the offset this actor last saw, `met` the count of reconnections. `unsure` and
    `slept`: the governor may hold a demand of ours about the offset, or about a sleep. `failed`:
    the last measurement did. `reported`: a sleep was, before the measurement that follows it.
    """

    steps: _Steps
    seen_ms: int | None
    met: int
    due_ms: int
    unsure: bool = True
    slept: bool = True
    failed: bool = False
    reported: bool = False

    @property
    def may_have_slept(self) -> bool:
        return abs(self.steps.ms()) >= _SLEPT_MS


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
        """Measure until cancelled. The first measurement comes before the first signed request."""
        memory = self._begin()
        task_status.started()
        while True:
            self.beat()
            await self.clock.sleep(_BEAT_SECONDS)
            if memory.met != self.reconnections.count:
                # A new connection may take another route, with another delay.
                memory.met = self.reconnections.count
                memory.due_ms = min(memory.due_ms, self.clock.monotonic_ms())
            if not self._is_due(memory):
                continue
            unseen_ms, known = self._unseen_ms(memory.seen_ms), self.server_clock.synced
            try:
                moved_ms = await self._measure(memory)
            except (Transient, Refused, PayloadInvalid) as error:
                await self._note_failure(memory, error)
            else:
                await self._note(memory, max(moved_ms, unseen_ms, key=abs), known=known)

    def _begin(self) -> _Memory:
        # Without a measurement every signature is a guess, so the first one comes at once.
        patience_ms = self.settings.sync_interval_ms if self.server_clock.synced else 0
        # After a restart, too, the governor may hold demands of the previous life.
        return _Memory(
            steps=_Steps(self.clock),
            seen_ms=self._offset_ms(),
            met=self.reconnections.count,
            due_ms=self.clock.monotonic_ms() + patience_ms,
        )

    def _is_due(self, memory: _Memory) -> bool:
        """Whether to measure now: by time, or because a clock or the offset has moved."""
        # A request refused for its timestamp measures too, without reporting here.
        unseen_ms = self._unseen_ms(memory.seen_ms)
        calm = abs(memory.steps.ms()) <= _STEP_MS and unseen_ms <= self.settings.clock_drift_max_ms
        return self.clock.monotonic_ms() >= memory.due_ms or not (calm or memory.failed)

    async def _measure(self, memory: _Memory) -> int:
        """How far the offset has moved, in ms; reports a sleep first. Raises what a read raises."""
        if memory.seen_ms is not None and not memory.reported and memory.may_have_slept:
            memory.unsure = True
            memory.reported = await self._wake(memory.steps, memory.seen_ms, again=memory.failed)
        return await while_beating(self.clock, self.beat, self.server_clock.resync)

    async def _note_failure(self, memory: _Memory, error: Exception) -> None:
        # The drift is kept: only a measurement can tell a sleep from a clock step.
        wait_ms = _SLEPT_RETRY_MS if memory.may_have_slept else _RETRY_MS
        memory.due_ms = self.clock.monotonic_ms() + wait_ms
        await self._demand(SignalLevel.DEGRADE, ReasonCode.TIME_SYNC_FAIL, 0, str(error))
        memory.unsure = memory.failed = True

    async def _note(self, memory: _Memory, moved_ms: int, *, known: bool) -> None:
        """Report and record a measurement; `known` if the offset had been measured before."""
        memory.failed = False
        memory.due_ms = self.clock.monotonic_ms() + self.settings.sync_interval_ms
        memory.seen_ms = self._offset_ms()
        if known:
            memory.slept = memory.reported or await self._report_sleep(
                memory.steps.ms(), moved_ms, told=memory.slept
            )
        memory.reported = False
        memory.steps.forget()
        jumped = abs(moved_ms) > self.settings.clock_drift_max_ms
        if jumped or memory.slept:
            memory.due_ms = self.clock.monotonic_ms() + _RETRY_MS
        if jumped or memory.unsure:
            level = SignalLevel.DEGRADE if jumped else SignalLevel.CLEAR
            await self._demand(level, ReasonCode.CLOCK_DRIFT_WARN, abs(moved_ms), "")
        memory.unsure = jumped
        await self._record(moved_ms)

    def _offset_ms(self) -> int | None:
        return self.server_clock.offset_ms if self.server_clock.synced else None

    def _unseen_ms(self, seen_ms: int | None) -> int:
        """How far the offset has moved since this actor last read it."""
        now_ms = self._offset_ms()
        return 0 if seen_ms is None or now_ms is None else abs(now_ms - seen_ms)

    async def _wake(self, steps: _Steps, seen_ms: int, *, again: bool) -> bool:
        """Whether a single answer, however slow, proves that the machine slept; if so, report it.

        A whole measurement needs five quick answers. Until it is done the time is in doubt, and
        nothing decided before may be sent.
        """
        if not again:
            apart_ms = steps.ms()
            text = f"this machine's clocks ran apart by {apart_ms} ms; the time is being asked for"
            code = ReasonCode.CLOCK_DRIFT_WARN
            await self._demand(SignalLevel.DEGRADE, code, abs(apart_ms), text)
        asked_ms = self.clock.monotonic_ms()
        offset_ms = await while_beating(self.clock, self.beat, self.server_clock.glance)
        error_ms = (self.clock.monotonic_ms() - asked_ms) // 2
        return await self._report_sleep(steps.ms(), abs(offset_ms - seen_ms) + error_ms, told=False)

    async def _report_sleep(self, stepped_ms: int, moved: int, *, told: bool) -> bool:
        """Whether the machine slept: the wall clock advanced, the offset to the exchange stayed.

        Nothing was watched meanwhile and all that is known is old: demand PAUSE. The next
        measurement withdraws the demand, so that only the operator's resume ends the PAUSE.
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
        # A constant offset is compensated for; the operator should still correct the clock.
        if abs(offset) > self.settings.clock_drift_max_ms:
            await self.governor.send(
                Alert(
                    severity=Severity.WARN,
                    code=ReasonCode.CLOCK_DRIFT_WARN,
                    reasons=(),
                    text=f"this machine's clock differs from the exchange's by {offset} ms",
                )
            )

    async def _demand(self, level: SignalLevel, code: ReasonCode, moved: int, detail: str) -> None:
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
