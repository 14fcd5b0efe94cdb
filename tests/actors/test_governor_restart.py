"""A governor that breaks is run again and goes on from what it knew."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import Alert, OperatorCommand
from livespot.contracts.vocabulary import (
    EventType,
    OperatorAction,
    Severity,
    SignalKind,
    SignalLevel,
    SysMode,
)
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.supervisor import ActorKeptFailing, Supervised
from livespot.testing.audit import RecordingAudit
from livespot.testing.governor_bench import FAST, Control, House, a_signal


class _Unexpected(Exception):
    """What nobody wrote a handler for."""


@dataclass
class _FlakyControl(Control):
    """Breaks its reader once for each error it holds."""

    errors: list[Exception] = field(default_factory=list)

    def read_commands(self, now_ms: int) -> list[OperatorCommand]:
        if self.errors:
            raise self.errors.pop(0)
        return super().read_commands(now_ms)


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


@dataclass(kw_only=True)
class _FlakyHouse(House):
    inbox: Mailbox[GovernorInbox] = field(default_factory=lambda: Mailbox("governor", 4, FAST))
    audit: _FlakyAudit = field(default_factory=_FlakyAudit)
    control: _FlakyControl = field(default_factory=_FlakyControl)

    @property
    def moves(self) -> list[tuple[object, object]]:
        """(from, to) of every audited change of mode."""
        entries = self.audit.of(EventType.SYSMODE_CHANGED)
        return [(entry.draft.data["from"], entry.draft.data["to"]) for entry in entries]


@asynccontextmanager
async def _supervised() -> AsyncIterator[_FlakyHouse]:
    house = _FlakyHouse()
    governor = house.governor(SysMode.DEGRADE, iter(range(10**9)).__next__)
    watched = Supervised(
        name="governor",
        actor=governor,
        critical=False,
        clock=FAST,
        governor=house.inbox,
        governs=True,
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
                await FAST.sleep(0.05)

        assert not house.gate.entries_open


async def test_a_cause_told_before_it_broke_still_holds_and_can_be_withdrawn() -> None:
    stale = SignalKind.WS_STALE
    async with _supervised() as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.PAUSE, kind=stale))
        await house.until(SysMode.PAUSE)
        house.control.errors.append(_Unexpected())
        again = await house.until(SysMode.PAUSE)
        held = house.gate.mode
        await house.inbox.send(a_signal(SignalLevel.CLEAR, kind=stale))
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


async def test_a_command_whose_outcome_was_not_recorded_is_carried_out_by_the_next_life() -> None:
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
        await house.inbox.send(a_signal(SignalLevel.PAUSE, kind=SignalKind.WS_STALE))

        paused = await house.until(SysMode.PAUSE)

    assert paused.previous is SysMode.NORMAL
    assert [str(after) for _, after in house.moves] == ["DEGRADE", "NORMAL", "PAUSE"]


async def test_a_full_mailbox_does_not_keep_it_from_coming_back() -> None:
    async with _supervised() as house:
        await house.boot()
        house.control.errors.append(_Unexpected())
        with anyio.fail_after(5):
            while house.control.errors:
                await FAST.sleep(0.01)
        alert = Alert(severity=Severity.INFO, code=ReasonCode.ENTER_NORMAL, reasons=(), text="x")
        while house.inbox.offer(alert):
            pass

        await house.until(SysMode.NORMAL)


async def test_breaking_for_the_third_time_ends_the_process() -> None:
    async def break_thrice() -> None:
        async with _supervised() as house:
            house.control.errors += [_Unexpected(), _Unexpected(), _Unexpected()]
            await FAST.sleep(60)

    with pytest.raises(ExceptionGroup) as ended:
        await break_thrice()

    assert ended.group_contains(ActorKeptFailing)
