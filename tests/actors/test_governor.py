"""The governor moves the mode, with its audit, and everybody hears it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import Alert, ExposureWanted, OperatorCommand, ReleaseWanted
from livespot.contracts.vocabulary import (
    EventType,
    OperatorAction,
    Severity,
    SignalKind,
    SignalLevel,
    SysMode,
)
from livespot.testing.governor_bench import House, a_signal


def _command(action: OperatorAction, reason: str = "because", nonce: str = "n1") -> OperatorCommand:
    return OperatorCommand(action=action, reason=reason, nonce=nonce, at_ms=1)


@asynccontextmanager
async def _governed(
    start: SysMode = SysMode.DEGRADE, cycles: Callable[[], int] = lambda: 0
) -> AsyncIterator[House]:
    house = House()
    governor = house.governor(start, cycles)
    async with anyio.create_task_group() as group:
        await group.start(governor.run)
        yield house
        group.cancel_scope.cancel()


async def test_it_boots_in_degrade_with_the_entries_closed() -> None:
    async with _governed() as house:
        change = await house.until(SysMode.DEGRADE)

        assert ReasonCode.BOOT_RECOVERY in change.reasons
        assert not house.gate.entries_open


async def test_normal_follows_once_recovery_and_checklist_have_passed() -> None:
    async with _governed() as house:
        await house.boot()

        assert house.gate.entries_open


async def test_a_mode_change_and_its_alert_are_durable_together_before_it_is_broadcast() -> None:
    async with _governed() as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.PAUSE))
        change = await house.until(SysMode.PAUSE)

        moved = house.audit.of(EventType.SYSMODE_CHANGED)[-1]
        alert = house.audit.entries[house.audit.entries.index(moved) + 1]
        assert moved.draft.data["to"] == SysMode.PAUSE
        assert alert.draft.event_type is EventType.ALERT_RAISED
        assert alert.draft.reasons == change.reasons
        assert not house.gate.entries_open


async def test_a_mode_tightens_even_when_the_audit_is_broken() -> None:
    async with _governed() as house:
        await house.boot()
        house.audit.broken = True
        await house.inbox.send(a_signal(SignalLevel.DEGRADE))
        await house.until(SysMode.DEGRADE)

        assert not house.gate.entries_open
        assert any(alert.code is ReasonCode.AUDIT_WRITE_FAILED for alert in house.announced)


async def test_a_mode_never_loosens_without_audit() -> None:
    async with _governed() as house:
        house.audit.broken = True
        for kind, source in ((SignalKind.RECOVERY, "boot"), (SignalKind.CHECKLIST, "checklist")):
            await house.inbox.send(a_signal(SignalLevel.CLEAR, kind=kind, source=source))
        with anyio.move_on_after(0.1):
            await house.until(SysMode.NORMAL)

        assert not house.gate.entries_open


async def test_an_operators_pause_holds_until_a_resume_with_a_reason() -> None:
    async with _governed() as house:
        await house.boot()
        house.control.commands.append(_command(OperatorAction.PAUSE))
        await house.until(SysMode.PAUSE)
        house.control.commands.append(_command(OperatorAction.RESUME, " ", "n2"))
        house.control.commands.append(_command(OperatorAction.RESUME, "looked at it", "n3"))
        await house.until(SysMode.DEGRADE)

        outcomes = [e.draft.data["outcome"] for e in house.audit.of(EventType.OPERATOR_COMMAND)]
        assert outcomes == ["accepted", "refused: a resume needs a reason", "accepted"]


@pytest.mark.parametrize("after", [OperatorAction.PAUSE, OperatorAction.RESUME])
async def test_an_end_that_was_asked_for_is_not_undone_by_what_is_asked_in_the_same_moment(
    after: OperatorAction,
) -> None:
    async with _governed(SysMode.PAUSE) as house:
        await house.until(SysMode.PAUSE)

        house.control.commands = [
            _command(OperatorAction.STOP, nonce="n1"),
            _command(after, nonce="n2"),
        ]

        assert (await house.until(SysMode.EXIT)).reasons[1] == ReasonCode.OPERATOR_STOP


async def test_a_resume_is_refused_while_the_cause_stands() -> None:
    async with _governed() as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.PAUSE, code=ReasonCode.WS_STALE_PAUSE))
        await house.until(SysMode.PAUSE)
        house.control.commands.append(_command(OperatorAction.RESUME))
        with anyio.move_on_after(0.1):
            await house.until(SysMode.DEGRADE)

        (entry,) = house.audit.of(EventType.OPERATOR_COMMAND)
        assert "WS_STALE_PAUSE" in entry.draft.data["outcome"]
        assert house.gate.mode is SysMode.PAUSE


async def test_a_release_goes_to_risk_which_answers_for_it() -> None:
    async with _governed() as house:
        await house.boot()
        wanted = msgspec.structs.replace(_command(OperatorAction.RELEASE), symbol="SOLUSDT")
        house.control.commands.append(wanted)
        with anyio.fail_after(5):
            assert await house.risk.receive() == ReleaseWanted(command=wanted)

        assert house.audit.of(EventType.OPERATOR_COMMAND) == []
        assert house.gate.mode is SysMode.NORMAL


@pytest.mark.parametrize("action", [OperatorAction.EXPOSURE_OPEN, OperatorAction.EXPOSURE_CLOSE])
async def test_an_exposure_goes_to_risk_which_answers_for_it(action: OperatorAction) -> None:
    async with _governed() as house:
        await house.boot()
        wanted = msgspec.structs.replace(_command(action), symbol="SOLUSDT")
        house.control.commands.append(wanted)
        with anyio.fail_after(5):
            assert await house.risk.receive() == ExposureWanted(command=wanted)

        assert house.audit.of(EventType.OPERATOR_COMMAND) == []
        assert house.gate.mode is SysMode.NORMAL


async def test_a_halt_ends_the_run_with_its_reason_in_the_audit() -> None:
    async with _governed() as house:
        await house.boot()
        house.control.commands.append(_command(OperatorAction.HALT, reason="key leaked"))
        change = await house.until(SysMode.EXIT)

        assert ReasonCode.KILL_SWITCH_FILE in change.reasons
        (entry,) = house.audit.of(EventType.OPERATOR_COMMAND)
        assert entry.draft.data["reason"] == "key leaked"


@pytest.mark.parametrize("closed", [True, False])
async def test_a_release_that_risk_cannot_take_is_refused_with_why(closed: bool) -> None:
    async with _governed() as house:
        await house.boot()
        wanted = msgspec.structs.replace(_command(OperatorAction.RELEASE), symbol="SOLUSDT")
        house.risk.offer(ReleaseWanted(command=wanted))
        if closed:
            house.risk.close()
        house.control.commands += [wanted, _command(OperatorAction.PAUSE, nonce="n2")]
        await house.until(SysMode.PAUSE)

        entry, _ = house.audit.of(EventType.OPERATOR_COMMAND)
        why = "the process is shutting down" if closed else "risk did not take it in time"
        assert entry.draft.data["outcome"] == f"refused: {why}"
        assert entry.draft.symbol == "SOLUSDT"


async def test_a_run_that_ended_in_pause_boots_in_pause_and_stays() -> None:
    async with _governed(start=SysMode.PAUSE) as house:
        for kind, source in ((SignalKind.RECOVERY, "boot"), (SignalKind.CHECKLIST, "checklist")):
            await house.inbox.send(a_signal(SignalLevel.CLEAR, kind=kind, source=source))
        with anyio.move_on_after(0.1):
            await house.until(SysMode.NORMAL)

        assert house.gate.mode is SysMode.PAUSE


async def test_the_stop_file_leads_to_exit() -> None:
    async with _governed() as house:
        await house.boot()
        house.control.stop = True
        change = await house.until(SysMode.EXIT)

        assert ReasonCode.KILL_SWITCH_FILE in change.reasons
        assert [entry.mode for entry in house.left] == [SysMode.EXIT]


async def test_the_same_alert_is_heard_once_per_minute() -> None:
    alert = Alert(
        severity=Severity.WARN, code=ReasonCode.FOREIGN_ORDER_DETECTED, reasons=(), text="seen"
    )
    async with _governed() as house:
        for _ in range(5):
            await house.inbox.send(alert)
        await house.boot()

        heard = [a for a in house.announced if a.code is ReasonCode.FOREIGN_ORDER_DETECTED]
        assert len(heard) == 1


async def test_recovery_from_degrade_waits_for_the_window_and_for_cycles_to_advance() -> None:
    passed = 0
    async with _governed(cycles=lambda: passed) as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.DEGRADE))
        await house.until(SysMode.DEGRADE)
        await house.inbox.send(a_signal(SignalLevel.CLEAR))
        with anyio.move_on_after(0.1):
            await house.until(SysMode.NORMAL)
        assert house.gate.mode is SysMode.DEGRADE

        passed = 2
        await house.until(SysMode.NORMAL)
