"""Entries stay closed until every point of the start checklist holds."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from livespot.actors.mail import GovernorInbox
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import EventType, Severity, SignalKind, SignalLevel
from livespot.runtime.checklist import Checklist, Point
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock


@dataclass
class _Boot:
    """A checklist whose points come true at market times the test names."""

    clock: ManualClock = field(default_factory=ManualClock)
    audit: RecordingAudit = field(default_factory=RecordingAudit)

    def __post_init__(self) -> None:
        self.governor: Mailbox[GovernorInbox] = Mailbox("governor", 64, self.clock)

    def after(self, ms: int) -> Callable[[], bool]:
        return lambda: self.clock.monotonic_ms() >= ms

    async def run(
        self, *points: Point, manage_only: tuple[str, ...] = (), proven: tuple[str, ...] = ()
    ) -> list[GovernorInbox]:
        """Run to the end; what the governor was told, in order."""
        await Checklist(
            points=points,
            manage_only=manage_only,
            proven=proven,
            clock=self.clock,
            audit=self.audit,
            governor=self.governor,
        ).run()
        told: list[GovernorInbox] = []
        while (message := self.governor.receive_nowait()) is not None:
            told.append(message)
        return told


def levels(told: list[GovernorInbox]) -> list[SignalLevel]:
    return [message.level for message in told if isinstance(message, HealthSignal)]


async def test_the_boot_signal_is_withdrawn_once_everything_holds() -> None:
    boot = _Boot()

    told = await boot.run(
        Point(name="stream", holds=boot.after(2_000)), Point(name="rest", holds=boot.after(1_000))
    )

    (signal,) = told
    assert isinstance(signal, HealthSignal)
    assert (signal.kind, signal.source) == (SignalKind.CHECKLIST, "checklist")
    assert signal.level is SignalLevel.CLEAR
    assert boot.clock.monotonic_ms() == 2_000


async def test_passing_is_audited_with_every_point_before_the_governor_hears_of_it() -> None:
    boot = _Boot()
    boot.audit.broken = True
    point = Point(name="stream", holds=lambda: True)

    with pytest.raises(AuditUnwritable):
        await boot.run(point)
    assert boot.governor.receive_nowait() is None

    boot.audit.broken = False
    await boot.run(point)
    (entry,) = boot.audit.of(EventType.STAGE_CHANGED)
    assert entry.draft.data == {"checklist": ["stream"]}


async def test_what_was_proven_before_the_start_goes_on_record_with_the_points() -> None:
    boot = _Boot()

    await boot.run(Point(name="stream", holds=lambda: True), proven=("drills passed",))

    (entry,) = boot.audit.of(EventType.STAGE_CHANGED)
    assert entry.draft.data == {"checklist": ["stream", "drills passed"]}


async def test_a_point_that_breaks_again_before_the_others_hold_is_waited_for() -> None:
    boot = _Boot()

    def flaky() -> bool:
        return not 1_000 <= boot.clock.monotonic_ms() < 3_000

    await boot.run(Point(name="flaky", holds=flaky), Point(name="late", holds=boot.after(1_000)))

    assert boot.clock.monotonic_ms() == 3_000


async def test_what_is_still_missing_after_a_minute_is_said_once() -> None:
    boot = _Boot()

    told = await boot.run(
        Point(name="ready", holds=lambda: True),
        Point(name="slow", holds=boot.after(300_000)),
        Point(name="slower", holds=boot.after(301_000)),
    )

    alert, *_ = told
    assert isinstance(alert, Alert)
    assert (alert.severity, alert.code) == (Severity.CRIT, ReasonCode.CHECKLIST_FAILED)
    assert alert.text == "still missing: slow, slower"
    assert alert.at_ms == boot.clock.now_ms() - 301_000 + 60_500
    assert levels(told) == [SignalLevel.DEGRADE, SignalLevel.CLEAR]
    assert len(told) == 3


async def test_within_the_first_minute_nobody_is_alarmed() -> None:
    boot = _Boot()

    told = await boot.run(Point(name="slow", holds=boot.after(60_000)))

    assert levels(told) == [SignalLevel.CLEAR]
    assert len(told) == 1


async def test_a_run_that_may_only_manage_never_opens_entries() -> None:
    boot = _Boot()

    told = await boot.run(
        Point(name="stream", holds=lambda: True), manage_only=("no AI key", "no trading right")
    )

    assert levels(told) == [SignalLevel.DEGRADE]
    assert isinstance(told[0], Alert)
    assert told[0].text == "no AI key; no trading right"
    assert not boot.audit.entries
