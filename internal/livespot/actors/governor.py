"""The owner of SysMode: weighs signals, moves the mode with its audit, raises alerts.

Reads: signals, alerts and operator commands from every actor and from the control files. Writes:
SYSMODE_CHANGED, ALERT_RAISED and OPERATOR_COMMAND events; `ModeChanged` to every actor,
`ReleaseWanted` and `ExposureWanted` to risk. Owns: the mode chart and the send gate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, assert_never

import anyio
import msgspec
from anyio.abc import TaskStatus

from livespot.actors.alert_records import alert_entry
from livespot.actors.letter_box import ControlFiles, LetterBox, Outcomes, too_late
from livespot.actors.mail import GovernorInbox
from livespot.actors.mode_alerts import (
    AlertLog,
    Episodes,
    is_starting,
    mode_alert,
    reason_alert,
    unreached_alert,
    unrecorded_alert,
    unwritable_alert,
)
from livespot.actors.operator_records import command_code, command_entry
from livespot.actors.wires import Sink
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.ports import Clock
from livespot.contracts.records import SysModeRow
from livespot.contracts.settings import HealthSettings
from livespot.contracts.system import (
    Alert,
    ExposureWanted,
    HealthSignal,
    ModeChanged,
    OperatorCommand,
    ReleaseWanted,
)
from livespot.contracts.vocabulary import (
    EventType,
    OperatorAction,
    Severity,
    SignalKind,
    SignalLevel,
    Stage,
    SysMode,
)
from livespot.rules import sysmode
from livespot.rules.sysmode import ModeChart, Weighing
from livespot.runtime.mailboxes import Mailbox, MailboxClosed
from livespot.runtime.send_gate import SendGate

_POLL_SECONDS = 0.25
# The longest wait when only a message can change anything.
_CALM_SECONDS = 60.0
# Active reasons are noted this often, so that a returning complaint is told from a new one.
_COMPLAINT_SECONDS = 1.0
_BROADCAST_SECONDS = 1.0
_FORWARD_SECONDS = 1.0
_STAGES = {
    SysMode.NORMAL: Stage.STATE_UPDATE,
    SysMode.DEGRADE: Stage.DEGRADE,
    SysMode.PAUSE: Stage.PAUSE,
    SysMode.EXIT: Stage.SHUTDOWN,
}


class ModeReceiver(Protocol):
    """Anything that takes the mode: the mailbox of every actor."""

    name: str

    async def send(self, message: ModeChanged) -> None: ...


@dataclass(slots=True)
class Memory:
    """What one life of the governor leaves to the next in the same process.

    Actors send a signal only when it changes, so a restarted governor without this memory would
    keep a mode without a cause, or leave one whose cause persists. `state` is None until the first
    mode was entered.
    """

    state: Weighing | None = None
    alerts: AlertLog = field(default_factory=AlertLog)
    episodes: Episodes = field(default_factory=Episodes)
    letters: LetterBox = field(default_factory=LetterBox)


@dataclass(frozen=True, slots=True, kw_only=True)
class Governor:
    run_id: str
    start_mode: SysMode
    settings: HealthSettings
    clock: Clock
    audit: AuditPort
    gate: SendGate
    inbox: Mailbox[GovernorInbox]
    receivers: Sequence[ModeReceiver]
    risk: Sink[ReleaseWanted | ExposureWanted]
    control: ControlFiles
    ledger: Outcomes
    cycles: Callable[[], int]
    announce: Callable[[Alert], None]
    leave: Callable[[ModeChanged], None]
    beat: Callable[[], None]
    memory: Memory = field(default_factory=Memory)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Govern until cancelled. An audit that cannot be written is not raised; it means PAUSE.

        However this ends, the gate is closed for entries; run again, it continues from its memory.
        """
        memory = self.memory
        try:
            state = await (self._begin() if memory.state is None else self._take_over(memory.state))
            chart: ModeChart = ModeChart(start_value=state.mode)
            # Its own failure is weighed before the supervisor can report that it is back.
            memory.state = state = await self._weigh(chart, state, memory.alerts)
            task_status.started()
            message = self.inbox.unfinished()
            while True:
                while message is not None:
                    memory.state = state = await self._take(state, message, memory.alerts)
                    # One by one: a PAUSE whose cause has gone by now is still recorded and held.
                    memory.state = state = await self._weigh(chart, state, memory.alerts)
                    message = self.inbox.receive_nowait()
                memory.state = state = await self._weigh(chart, state, memory.alerts)
                self.beat()
                memory.state = state = await self._poll(state, memory.alerts)
                message = await self.inbox.receive_within(self._patience(state))
        finally:
            self.gate.close_entries()

    def _patience(self, state: Weighing) -> float:
        """How long to wait for a message, in seconds.

        Control files may appear at any time, and time alone ends a stability window.
        """
        files = self.control.may_change or self.memory.letters.handed_on
        if files or (state.booting and state.active):
            return _POLL_SECONDS
        window_ms = self.settings.degrade_exit_stable_window_ms
        settled_ms = sysmode.settled_until_ms(state, stable_window_ms=window_ms)
        left_s = (settled_ms - self.clock.monotonic_ms()) / 1000
        longest_s = _COMPLAINT_SECONDS if state.active else _CALM_SECONDS
        return min(max(left_s, _POLL_SECONDS), longest_s)

    async def _begin(self) -> Weighing:
        state = Weighing(mode=self.start_mode, held=self.start_mode is SysMode.PAUSE)
        for signal in _boot_signals(self.clock.now_ms()):
            state = sysmode.absorb(state, signal)
        self.gate.set(self.start_mode)
        await self._enter(state, self.start_mode, self.start_mode, self.memory.alerts)
        return state

    async def _take_over(self, left: Weighing) -> Weighing:
        """The state of the previous life plus the reason that it ended; broadcasts the mode again.

        That life may have ended after the audit of a change and before every actor had heard of it.
        The change was audited then, so it is not audited again.
        """
        now = self.clock.now_ms()
        change = ModeChanged(
            mode=left.mode,
            previous=left.mode,
            reasons=(ReasonCode.ACTOR_RESTARTED,),
            active=sysmode.ordered_reasons(left.active.values()),
            at_ms=now,
        )
        await self._broadcast(change)
        return sysmode.absorb(replace(left, booting=False), _broke_signal(now))

    async def _poll(self, state: Weighing, alerts: AlertLog) -> Weighing:
        now = self.clock.now_ms()
        letters = self.memory.letters
        await letters.collect(self.control, self.ledger, now)
        while letters.waiting:
            state = await self._obey(state, letters.waiting[0], alerts)
            letters.waiting.popleft()
        if self.control.stop_file_present():
            key = (SignalKind.OPERATOR, "STOP file")
            if key not in state.active:
                state = sysmode.absorb(state, _stop_signal(now))
        return state

    async def _take(self, state: Weighing, message: GovernorInbox, alerts: AlertLog) -> Weighing:
        match message:
            case HealthSignal():
                stamped = (
                    message
                    if message.at_ms
                    else msgspec.structs.replace(message, at_ms=self.clock.now_ms())
                )
                return sysmode.absorb(state, stamped)
            case Alert():
                await self._raise(message, alerts)
                return state
            case OperatorCommand():
                return await self._obey(state, message, alerts)
            case _:
                assert_never(message)

    async def _obey(self, state: Weighing, command: OperatorCommand, alerts: AlertLog) -> Weighing:
        now = self.clock.now_ms()
        state, outcome = await self._carry_out(state, command, now)
        letters = self.memory.letters
        if not outcome:
            letters.handed_on.add(command.nonce)
            return state
        entry = command_entry(command, outcome, stage=_STAGES[state.mode], now_ms=now)
        if await self._commit(entry):
            letters.settle(command.nonce, self.control)
        if outcome != "accepted":
            await self._raise(
                Alert(
                    severity=Severity.WARN,
                    code=command_code(command.action),
                    reasons=(),
                    text=outcome,
                    symbol=command.symbol,
                ),
                alerts,
            )
        return state

    async def _carry_out(
        self, state: Weighing, command: OperatorCommand, now: int
    ) -> tuple[Weighing, str]:
        """The new state and the command's outcome; empty where risk will write the outcome."""
        refused = too_late(command)
        if refused:
            return state, refused
        match command.action:
            case OperatorAction.PAUSE | OperatorAction.STOP | OperatorAction.HALT:
                return sysmode.absorb(state, _operator_signal(command, now)), "accepted"
            case OperatorAction.RESUME:
                return _resume(state, command)
            case OperatorAction.RELEASE:
                return state, await self._forward(ReleaseWanted(command=command))
            case OperatorAction.EXPOSURE_OPEN | OperatorAction.EXPOSURE_CLOSE:
                return state, await self._forward(ExposureWanted(command=command))
            case _:
                assert_never(command.action)

    async def _forward(self, wanted: ReleaseWanted | ExposureWanted) -> str:
        """Hand the command to risk, which audits its outcome; returns why risk did not take it."""
        try:
            with self.clock.move_on_after(_FORWARD_SECONDS) as scope:
                await self.risk.send(wanted)
        except MailboxClosed:
            return "refused: the process is shutting down"
        return "refused: risk did not take it in time" if scope.cancelled_caught else ""

    async def _weigh(self, chart: ModeChart, state: Weighing, alerts: AlertLog) -> Weighing:
        if state.mode is SysMode.PAUSE and not state.held:
            target = max(
                SysMode.DEGRADE,
                sysmode.demanded(state.active.values()),
                key=sysmode.STRICTNESS.__getitem__,
            )
        else:
            state, target = sysmode.next_mode(
                state,
                now_ms=self.clock.monotonic_ms(),
                cycle=self.cycles(),
                stable_window_ms=self.settings.degrade_exit_stable_window_ms,
            )
        if target is state.mode:
            await self._announce_new_reasons(state)
            return state
        tightening = sysmode.STRICTNESS[target] > sysmode.STRICTNESS[state.mode]
        if tightening:
            self.gate.set(target)
        if not sysmode.move(chart, target):
            return state
        moved = replace(state, mode=target)
        durable = await self._enter(moved, target, state.mode, alerts)
        if durable or tightening:
            return moved
        # Loosening without audit is impossible: undo the move and hold PAUSE instead.
        sysmode.move(chart, SysMode.PAUSE)
        self.gate.set(SysMode.PAUSE)
        return replace(moved, mode=SysMode.PAUSE, held=True)

    async def _enter(
        self, state: Weighing, mode: SysMode, previous: SysMode, alerts: AlertLog
    ) -> bool:
        """Audit the move, open the gate if it loosens, broadcast it; False if it is not durable."""
        now = self.clock.now_ms()
        active = sysmode.ordered_reasons(state.active.values())
        alert = mode_alert(previous, mode, active, now)
        codes = (alert.code, *alert.reasons)
        change = ModeChanged(mode=mode, previous=previous, reasons=codes, active=active, at_ms=now)
        rows = [msgspec.structs.asdict(reason) for reason in active]
        tightening = sysmode.STRICTNESS[mode] > sysmode.STRICTNESS[previous]
        if tightening:
            # A database that blocks must not keep the alert from the console.
            self.announce(alert)
        durable = await self._commit(
            AuditEntry(
                draft=AuditDraft(
                    event_type=EventType.SYSMODE_CHANGED,
                    stage=_STAGES[mode],
                    ts_ms=now,
                    reasons=codes,
                    data={"from": previous, "to": mode, "active": rows},
                ),
                records=(
                    SysModeRow(
                        run_id=self.run_id,
                        mode=mode,
                        previous=previous,
                        reasons=codes,
                        active_json=canonical_json(rows).decode(),
                        at_ms=now,
                    ),
                ),
            ),
            alert_entry(alert, _STAGES[mode], count=1),
        )
        alerts.note(alert, self.clock.monotonic_ms())
        self.memory.episodes.note(active, self.clock.monotonic_ms())
        if not tightening:
            self.announce(alert)
        if not durable and sysmode.STRICTNESS[mode] < sysmode.STRICTNESS[previous]:
            return False
        self.memory.state = state
        self.gate.set(self._no_looser(mode, state))
        await self._broadcast(change)
        return durable

    async def _broadcast(self, change: ModeChanged) -> None:
        for receiver in self.receivers:
            with self.clock.move_on_after(_BROADCAST_SECONDS) as scope:
                await receiver.send(change)
            if scope.cancelled_caught:
                self.announce(unreached_alert(receiver.name, change.at_ms))
        if change.mode is SysMode.EXIT:
            self.leave(change)

    async def _raise(self, alert: Alert, alerts: AlertLog) -> None:
        stamped = (
            alert if alert.at_ms else msgspec.structs.replace(alert, at_ms=self.clock.now_ms())
        )
        now = self.clock.monotonic_ms()
        if alerts.is_news(stamped, now):
            await self._commit(alert_entry(stamped, Stage.STATE_UPDATE, count=1))
            self.announce(stamped)
        alerts.note(stamped, now)

    async def _commit(self, *entries: AuditEntry) -> bool:
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._guard)
            try:
                await self.audit.commit(*entries)
            except AuditUnwritable as error:
                self.announce(unwritable_alert(error, self.clock.now_ms()))
                self.gate.set(SysMode.PAUSE)
                return False
            finally:
                beside.cancel_scope.cancel()
        return True

    async def _guard(self) -> None:
        """While a commit blocks: signals in the inbox wait, but tighten the send gate at once.

        The operator is alerted; the other actors learn of it when it has been audited.
        """
        while True:
            await self.clock.sleep(_POLL_SECONDS)
            self.beat()
            state = self._with_waiting(self.memory.state)
            demanded = sysmode.demanded(state.active.values())
            held = self.gate.mode
            if sysmode.STRICTNESS[demanded] > sysmode.STRICTNESS[held]:
                self.gate.set(demanded)
                active = sysmode.ordered_reasons(state.active.values())
                self.announce(unrecorded_alert(demanded, held, active, self.clock.now_ms()))

    def _with_waiting(self, state: Weighing | None) -> Weighing:
        """The state as it will be once the signals in the inbox have been taken."""
        state = state or Weighing(mode=self.start_mode)
        for message in self.inbox.waiting():
            if isinstance(message, HealthSignal):
                state = sysmode.absorb(state, message)
        return state

    def _no_looser(self, mode: SysMode, state: Weighing) -> SysMode:
        """`mode`, or what the signals in the inbox demand if that is stricter."""
        waiting = sysmode.demanded(self._with_waiting(state).active.values())
        return max(mode, waiting, key=sysmode.STRICTNESS.__getitem__)

    async def _announce_new_reasons(self, state: Weighing) -> None:
        """Audit and announce reasons that joined those for which the mode was entered."""
        now = self.clock.monotonic_ms()
        episodes = self.memory.episodes
        active = [
            reason
            for reason in state.active.values()
            if not (state.booting and is_starting(reason, self.clock.now_ms()))
        ]
        for reason in sysmode.ordered_reasons(episodes.news(active, now)):
            alert = reason_alert(reason, state.mode, self.clock.now_ms())
            await self._commit(alert_entry(alert, _STAGES[state.mode], count=1))
            self.announce(alert)
            self.memory.alerts.note(alert, now)
        episodes.note(active, now)


def _boot_signals(now_ms: int) -> tuple[HealthSignal, ...]:
    return (
        HealthSignal(
            kind=SignalKind.RECOVERY,
            level=SignalLevel.DEGRADE,
            reason=ReasonCode.BOOT_RECOVERY,
            source="boot",
            detail="the last run's orders and positions are being checked",
            at_ms=now_ms,
        ),
        HealthSignal(
            kind=SignalKind.CHECKLIST,
            level=SignalLevel.DEGRADE,
            reason=ReasonCode.BOOT_RECOVERY,
            source="checklist",
            detail="the start checklist has not passed yet",
            at_ms=now_ms,
        ),
    )


def _broke_signal(now_ms: int) -> HealthSignal:
    """The signal that the supervisor sends too, and withdraws once this life governs."""
    return HealthSignal(
        kind=SignalKind.ACTOR,
        level=SignalLevel.DEGRADE,
        reason=ReasonCode.ACTOR_FAILED,
        source="governor",
        detail="the governor broke; it goes on from what it knew",
        at_ms=now_ms,
    )


def _operator_signal(command: OperatorCommand, now_ms: int) -> HealthSignal:
    pause = command.action is OperatorAction.PAUSE
    return HealthSignal(
        kind=SignalKind.OPERATOR,
        level=SignalLevel.PAUSE if pause else SignalLevel.EXIT,
        reason=command_code(command.action),
        # Separate sources: a pause must not replace an end that was asked for at the same moment.
        source="pause command" if pause else "end command",
        detail=command.reason,
        at_ms=now_ms,
    )


def _stop_signal(now_ms: int) -> HealthSignal:
    return HealthSignal(
        kind=SignalKind.OPERATOR,
        level=SignalLevel.EXIT,
        reason=ReasonCode.KILL_SWITCH_FILE,
        source="STOP file",
        at_ms=now_ms,
    )


def _resume(state: Weighing, command: OperatorCommand) -> tuple[Weighing, str]:
    if state.mode is not SysMode.PAUSE:
        return state, f"refused: the mode is {state.mode}, there is nothing to resume"
    if not command.reason.strip():
        return state, "refused: a resume needs a reason"
    blockers = sysmode.may_resume(state)
    if blockers:
        return state, f"refused: {', '.join(dict.fromkeys(blockers))} still hold PAUSE"
    return sysmode.resumed(state), "accepted"
