"""What arises in a mode that is as strict already is said, and a held-up audit hides nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import EventType, Severity, SignalKind, SignalLevel, SysMode
from livespot.runtime.send_gate import SendGate
from livespot.testing.audit import RecordingAudit
from livespot.testing.governor_bench import FAST, House, a_signal

_KEY = a_signal(
    SignalLevel.PAUSE, kind=SignalKind.KEY, source="api key", code=ReasonCode.API_KEY_REJECTED
)


class _HeldAudit(RecordingAudit):
    """Commits nothing while somebody else holds the database."""

    def __init__(self) -> None:
        super().__init__()
        self.free = anyio.Event()
        self.free.set()

    async def commit(self, *entries: AuditEntry) -> None:
        await self.free.wait()
        await super().commit(*entries)


class _SeenGate(SendGate):
    """Keeps every mode it was set to."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[SysMode] = []

    def set(self, mode: SysMode) -> None:
        self.modes.append(mode)
        super().set(mode)


@dataclass(kw_only=True)
class _House(House):
    audit: _HeldAudit = field(default_factory=_HeldAudit)
    gate: _SeenGate = field(default_factory=_SeenGate)

    def said(self, code: ReasonCode) -> list[Severity]:
        return [alert.severity for alert in self.announced if alert.code is code]

    def recorded(self, code: ReasonCode) -> int:
        alerts = self.audit.of(EventType.ALERT_RAISED)
        return sum(entry.draft.reasons[0] is code for entry in alerts)

    async def hears(self, code: ReasonCode, times: int = 1) -> None:
        with FAST.fail_after(500):
            while len(self.said(code)) < times:
                await FAST.sleep(0.2)


@asynccontextmanager
async def _governed(start: SysMode = SysMode.DEGRADE) -> AsyncIterator[_House]:
    house = _House()
    async with anyio.create_task_group() as group:
        await group.start(house.governor(start, lambda: 0).run)
        yield house
        group.cancel_scope.cancel()


async def test_a_reason_that_arises_in_a_mode_as_strict_is_put_on_record_and_said_once() -> None:
    async with _governed() as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.PAUSE, code=ReasonCode.WS_STALE_PAUSE))
        await house.until(SysMode.PAUSE)
        await house.inbox.send(_KEY)
        await house.hears(ReasonCode.API_KEY_REJECTED)
        await house.inbox.send(_KEY)
        await FAST.sleep(3)

        assert house.said(ReasonCode.API_KEY_REJECTED) == [Severity.CRIT]
        assert house.recorded(ReasonCode.API_KEY_REJECTED) == 1
        assert house.said(ReasonCode.WS_STALE_PAUSE) == []


async def test_a_stream_lost_for_a_moment_is_said_also_where_a_start_met_pause() -> None:
    lost, back = (
        a_signal(
            level,
            kind=SignalKind.USER_STREAM,
            source="account_feed",
            code=ReasonCode.USER_STREAM_LOST,
        )
        for level in (SignalLevel.DEGRADE, SignalLevel.CLEAR)
    )
    async with _governed(SysMode.PAUSE) as house:
        await house.inbox.send(lost)
        await house.inbox.send(back)
        for kind, source in ((SignalKind.RECOVERY, "boot"), (SignalKind.CHECKLIST, "checklist")):
            await house.inbox.send(a_signal(SignalLevel.CLEAR, kind=kind, source=source))
        await FAST.sleep(3)
        said_at_the_start = house.said(ReasonCode.USER_STREAM_LOST)
        await house.inbox.send(lost)
        await house.inbox.send(back)
        await house.hears(ReasonCode.USER_STREAM_LOST)

        assert said_at_the_start == []
        assert house.recorded(ReasonCode.USER_STREAM_LOST) == 1


async def test_it_is_on_record_before_it_is_said() -> None:
    async with _governed() as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.PAUSE, code=ReasonCode.WS_STALE_PAUSE))
        await house.until(SysMode.PAUSE)
        house.audit.free = anyio.Event()
        await house.inbox.send(_KEY)
        await FAST.sleep(3)
        said_early = house.said(ReasonCode.API_KEY_REJECTED)
        house.audit.free.set()
        await house.hears(ReasonCode.API_KEY_REJECTED)

        assert said_early == []
        assert house.recorded(ReasonCode.API_KEY_REJECTED) == 1


async def test_the_same_reason_is_news_again_a_minute_after_its_end_and_not_before() -> None:
    gone = a_signal(SignalLevel.CLEAR, kind=SignalKind.KEY, source="api key")
    async with _governed() as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.PAUSE, code=ReasonCode.WS_STALE_PAUSE))
        await house.inbox.send(_KEY)
        await house.hears(ReasonCode.API_KEY_REJECTED)
        await house.inbox.send(gone)
        await house.inbox.send(_KEY)
        await FAST.sleep(3)
        once = len(house.said(ReasonCode.API_KEY_REJECTED))
        await house.inbox.send(gone)
        await FAST.sleep(62)
        await house.inbox.send(_KEY)
        await house.hears(ReasonCode.API_KEY_REJECTED, times=2)

        assert once == 1


async def test_what_a_start_has_not_got_to_yet_is_said_only_when_it_lasts() -> None:
    connecting = a_signal(
        SignalLevel.DEGRADE, kind=SignalKind.USER_STREAM, code=ReasonCode.USER_STREAM_LOST
    )
    async with _governed() as house:
        since_ms = FAST.now_ms()
        await house.inbox.send(connecting)
        await house.hears(ReasonCode.USER_STREAM_LOST)
        waited_ms = FAST.now_ms() - since_ms

        assert waited_ms >= 2000
        assert house.said(ReasonCode.USER_STREAM_LOST) == [Severity.WARN]


async def test_what_the_exchange_refuses_at_a_start_is_said_at_once() -> None:
    async with _governed() as house:
        since_ms = FAST.now_ms()
        await house.inbox.send(_KEY)
        await house.until(SysMode.PAUSE)

        assert FAST.now_ms() - since_ms < 2000


async def test_while_the_audit_is_held_up_the_gate_closes_and_the_operator_hears_why() -> None:
    async with _governed() as house:
        await house.boot()
        await house.inbox.send(a_signal(SignalLevel.DEGRADE))
        await house.until(SysMode.DEGRADE)
        house.audit.free = anyio.Event()
        await house.inbox.send(a_signal(SignalLevel.DEGRADE, kind=SignalKind.CLOCK))
        await FAST.sleep(1)
        full = a_signal(
            SignalLevel.PAUSE, kind=SignalKind.DB_WRITER, code=ReasonCode.DB_WRITER_QUEUE_FULL
        )
        await house.inbox.send(full)
        await house.hears(ReasonCode.ENTER_PAUSE)
        early = house.gate.mode, len(house.audit.of(EventType.SYSMODE_CHANGED))
        house.audit.free.set()
        await house.until(SysMode.PAUSE)

        assert early == (SysMode.PAUSE, 3)
        assert house.announced[-1].code is ReasonCode.ENTER_PAUSE
        assert house.recorded(ReasonCode.ENTER_PAUSE) == 1


async def test_a_pause_that_was_over_before_the_audit_answered_still_waits_for_its_operator() -> (
    None
):
    async with _governed() as house:
        await house.boot()
        house.audit.free = anyio.Event()
        await house.inbox.send(a_signal(SignalLevel.DEGRADE, kind=SignalKind.CLOCK))
        await FAST.sleep(1)
        for level in (SignalLevel.PAUSE, SignalLevel.CLEAR):
            await house.inbox.send(
                a_signal(level, kind=SignalKind.DB_WRITER, code=ReasonCode.DB_WRITER_QUEUE_FULL)
            )
        house.audit.free.set()
        await house.until(SysMode.PAUSE)

        assert house.gate.mode is SysMode.PAUSE


async def test_a_loosening_that_waited_for_its_record_opens_nothing_that_should_be_closed() -> None:
    async with _governed() as house:
        house.audit.free = anyio.Event()
        for kind, source in ((SignalKind.RECOVERY, "boot"), (SignalKind.CHECKLIST, "checklist")):
            await house.inbox.send(a_signal(SignalLevel.CLEAR, kind=kind, source=source))
        await FAST.sleep(1)
        await house.inbox.send(a_signal(SignalLevel.DEGRADE))
        house.audit.free.set()
        await house.until(SysMode.NORMAL)
        await house.until(SysMode.DEGRADE)

        assert SysMode.NORMAL not in house.gate.modes
