"""A governor that breaks is run again and goes on from what it knew."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from livespot.actors.governor import Governor
from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
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
    SysMode,
)
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.send_gate import SendGate
from livespot.runtime.supervisor import ActorKeptFailing, Supervised
from livespot.testing.audit import RecordingAudit

_FAST = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=100))


class _Unexpected(Exception):
    """What nobody wrote a handler for."""


@dataclass
class _Control:
    """Breaks its reader once for each error it holds."""

    commands: list[OperatorCommand] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def take_commands(self, now_ms: int) -> list[OperatorCommand]:
        if self.errors:
            raise self.errors.pop(0)
        taken, self.commands = self.commands, []
        return taken

    def stop_file_present(self) -> bool:
        return False


class _FlakyAudit(RecordingAudit):
    """Raises what it was given at the next commit of an event type."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[EventType, Exception] = {}

    async def commit(self, *entries: AuditEntry) -> None:
        for entry in entries:
            error = self.errors.pop(entry.draft.event_type, None)
            if error is not None:
                raise error
        await super().commit(*entries)


@dataclass
class _House:
    inbox: Mailbox[GovernorInbox]
    heard: Mailbox[ModeChanged]
    audit: _FlakyAudit
    gate: SendGate
    control: _Control

    async def until(self, mode: SysMode) -> ModeChanged:
        with anyio.fail_after(5):
            while True:
                change = await self.heard.receive()
                if change.mode is mode:
                    return change

    async def boot(self) -> None:
        for kind, source in ((SignalKind.RECOVERY, "boot"), (SignalKind.CHECKLIST, "checklist")):
            await self.inbox.send(_signal(SignalLevel.CLEAR, kind=kind, source=source))
        await self.until(SysMode.NORMAL)

    @property
    def moves(self) -> list[tuple[object, object]]:
        """(from, to) of every audited change of mode."""
        entries = self.audit.of(EventType.SYSMODE_CHANGED)
        return [(entry.draft.data["from"], entry.draft.data["to"]) for entry in entries]


def _signal(level: SignalLevel, *, kind: SignalKind, source: str = "") -> HealthSignal:
    code = ReasonCode.WS_STALE_DEGRADE
    return HealthSignal(kind=kind, level=level, reason=code, source=source, value=9, threshold=2)


@asynccontextmanager
async def _supervised() -> AsyncIterator[_House]:
    inbox: Mailbox[GovernorInbox] = Mailbox("governor", 4, _FAST)
    risk: Mailbox[ReleaseWanted | ExposureWanted] = Mailbox("risk", 1, _FAST)
    house = _House(
        inbox=inbox,
        heard=Mailbox("listener", 64, _FAST),
        audit=_FlakyAudit(),
        gate=SendGate(),
        control=_Control(),
    )
    governor = Governor(
        run_id="run_test",
        start_mode=SysMode.DEGRADE,
        settings=HealthSettings(degrade_exit_stable_window_ms=1000),
        clock=_FAST,
        audit=house.audit,
        gate=house.gate,
        inbox=inbox,
        receivers=[house.heard],
        risk=risk,
        control=house.control,
        cycles=iter(range(10**9)).__next__,
        announce=lambda alert: None,
        leave=lambda change: None,
        beat=lambda: None,
    )
    watched = Supervised(
        name="governor", actor=governor, critical=False, clock=_FAST, governor=inbox, governs=True
    )
    async with anyio.create_task_group() as group:
        await group.start(watched.run)
        yield house
        group.cancel_scope.cancel()


async def test_it_degrades_from_the_mode_it_left_and_returns_after_the_quiet_time() -> None:
    async with _supervised() as house:
        await house.boot()
        house.control.errors.append(_Unexpected())
        degraded = await house.until(SysMode.DEGRADE)
        while degraded.previous is SysMode.DEGRADE:
            degraded = await house.until(SysMode.DEGRADE)
        await house.until(SysMode.NORMAL)

    assert ReasonCode.ACTOR_FAILED in degraded.reasons
    assert [str(before) for before, _ in house.moves] == ["DEGRADE", "DEGRADE", "NORMAL", "DEGRADE"]
    assert [str(after) for _, after in house.moves] == ["DEGRADE", "NORMAL", "DEGRADE", "NORMAL"]


async def test_no_entry_leaves_while_nobody_governs() -> None:
    async with _supervised() as house:
        await house.boot()
        assert house.gate.entries_open
        house.control.errors.append(_Unexpected())
        with anyio.fail_after(5):
            while house.control.errors:
                await _FAST.sleep(0.05)

        assert not house.gate.entries_open


async def test_a_cause_told_before_it_broke_still_holds_and_can_be_withdrawn() -> None:
    stale = SignalKind.WS_STALE
    async with _supervised() as house:
        await house.boot()
        await house.inbox.send(_signal(SignalLevel.PAUSE, kind=stale))
        await house.until(SysMode.PAUSE)
        house.control.errors.append(_Unexpected())
        again = await house.until(SysMode.PAUSE)
        held = house.gate.mode
        await house.inbox.send(_signal(SignalLevel.CLEAR, kind=stale))
        resume = OperatorCommand(
            action=OperatorAction.RESUME, reason="looked at it", nonce="n", at_ms=1
        )
        await house.inbox.send(resume)
        await house.until(SysMode.NORMAL)

    assert ReasonCode.WS_STALE_DEGRADE in {reason.code for reason in again.active}
    assert held is SysMode.PAUSE


async def test_the_message_it_broke_over_is_not_lost() -> None:
    async with _supervised() as house:
        await house.boot()
        house.audit.errors[EventType.ALERT_RAISED] = _Unexpected()
        alert = Alert(
            severity=Severity.WARN, code=ReasonCode.DRIFT_LIMIT_EXCEEDED, reasons=(), text="drift"
        )
        await house.inbox.send(alert)
        degraded = await house.until(SysMode.DEGRADE)
        while degraded.previous is SysMode.DEGRADE:
            degraded = await house.until(SysMode.DEGRADE)
        await house.until(SysMode.NORMAL)

        raised = house.audit.of(EventType.ALERT_RAISED)
        assert any(ReasonCode.DRIFT_LIMIT_EXCEEDED in entry.draft.reasons for entry in raised)


async def test_a_command_whose_file_is_gone_is_carried_out_by_the_next_life() -> None:
    async with _supervised() as house:
        await house.boot()
        house.audit.errors[EventType.OPERATOR_COMMAND] = _Unexpected()
        pause = OperatorCommand(action=OperatorAction.PAUSE, reason="lunch", nonce="n", at_ms=1)
        house.control.commands.append(pause)

        paused = await house.until(SysMode.PAUSE)

    assert ReasonCode.OPERATOR_PAUSE in paused.reasons


async def test_a_change_that_was_not_audited_is_made_by_the_next_life() -> None:
    async with _supervised() as house:
        await house.boot()
        house.audit.errors[EventType.SYSMODE_CHANGED] = _Unexpected()
        await house.inbox.send(_signal(SignalLevel.PAUSE, kind=SignalKind.WS_STALE))

        paused = await house.until(SysMode.PAUSE)

    assert paused.previous is SysMode.NORMAL
    assert [str(after) for _, after in house.moves] == ["DEGRADE", "NORMAL", "PAUSE"]


async def test_a_full_mailbox_does_not_keep_it_from_coming_back() -> None:
    async with _supervised() as house:
        await house.boot()
        house.control.errors.append(_Unexpected())
        with anyio.fail_after(5):
            while house.control.errors:
                await _FAST.sleep(0.01)
        alert = Alert(severity=Severity.INFO, code=ReasonCode.ENTER_NORMAL, reasons=(), text="x")
        while house.inbox.offer(alert):
            pass

        await house.until(SysMode.NORMAL)


async def test_breaking_for_the_third_time_ends_the_process() -> None:
    async def break_thrice() -> None:
        async with _supervised() as house:
            house.control.errors += [_Unexpected(), _Unexpected(), _Unexpected()]
            await _FAST.sleep(60)

    with pytest.raises(ExceptionGroup) as ended:
        await break_thrice()

    assert ended.group_contains(ActorKeptFailing)
