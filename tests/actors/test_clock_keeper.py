"""The exchange's time is measured again and again, and a moving offset is no secret."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import pytest

from livespot.actors.clock_keeper import ClockKeeper
from livespot.actors.mail import GovernorInbox
from livespot.actors.reconnections import Reconnections
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import PayloadInvalid, Refused, Throttled, Unreachable
from livespot.contracts.settings import TimeSettings
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import EventType, Severity, SignalKind, SignalLevel
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock

INTERVAL_MS = 300_000
_BEGAN_MS = ManualClock().now_ms()


@dataclass
class _Measured:
    """A server clock that answers as told, then stands still; `at_ms` is when it was asked."""

    clock: ManualClock
    answers: list[int | Exception]
    done: Callable[[], None]
    offset_ms: int = 0
    synced: bool = True
    # A whole measurement's answer comes so much later than a glance's.
    takes_ms: int = 0

    def __post_init__(self) -> None:
        self.at_ms: list[int] = []
        self._over = False

    def server_now_ms(self) -> int:
        return self.clock.now_ms() + self.offset_ms

    def steady_now_ms(self) -> int:
        return self.server_now_ms()

    def certain_now_ms(self) -> int | None:
        return self.server_now_ms() if self.synced else None

    async def resync(self) -> int:
        if self._over:
            self.done()
            return 0
        self.at_ms.append(self.clock.monotonic_ms())
        if not self.answers:
            self._over = True
            return 0
        await self.clock.sleep(self.takes_ms / 1000)
        return self._next(self.answers.pop(0))

    async def glance(self) -> int:
        """What the next measurement will find; a failure is used up."""
        answer = self.answers[0] if self.answers else 0
        if isinstance(answer, Exception):
            self.at_ms.append(self.clock.monotonic_ms())
            self.answers.pop(0)
        return self.offset_ms + self._next(answer)

    @staticmethod
    def _next(answer: int | Exception) -> int:
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class _Outcome:
    at_ms: list[int]
    told: list[GovernorInbox]
    audit: RecordingAudit
    beats: int

    @property
    def signals(self) -> list[HealthSignal]:
        """Without the CLEAR of a first calm measurement."""
        signals = [message for message in self.told if isinstance(message, HealthSignal)]
        found = [signal for signal in signals if signal.source != "sleep"]
        return found[1:] if found and found[0].level is SignalLevel.CLEAR else found


async def kept(
    *answers: int | Exception,
    offset_ms: int = 0,
    synced: bool = True,
    moves: int = 0,
    reconnects: int = 0,
) -> _Outcome:
    """What the keeper does with these measurements, and with one more that moved by nothing.

    After ten seconds somebody else finds the offset `moves` away from where it was, and so many
    connections have been had again.
    """
    clock, audit = ManualClock(), RecordingAudit()
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 64, clock)
    beats: list[None] = []
    had_again = Reconnections()
    async with anyio.create_task_group() as tasks:
        server = _Measured(clock, list(answers), tasks.cancel_scope.cancel, offset_ms, synced)
        keeper = ClockKeeper(
            settings=TimeSettings(),
            clock=clock,
            server_clock=server,
            audit=audit,
            governor=governor,
            beat=lambda: beats.append(None),
            reconnections=had_again,
        )
        await tasks.start(keeper.run)
        if moves or reconnects:
            await clock.sleep(10)
            server.offset_ms += moves
            had_again.count += reconnects
    told: list[GovernorInbox] = []
    while (message := governor.receive_nowait()) is not None:
        told.append(message)
    return _Outcome(server.at_ms, told, audit, len(beats))


async def test_it_measures_at_the_interval_and_beats_in_between() -> None:
    outcome = await kept(3, 4)

    assert outcome.at_ms == [INTERVAL_MS, 2 * INTERVAL_MS, 3 * INTERVAL_MS]
    assert outcome.beats >= 3 * INTERVAL_MS // 1000


async def test_a_move_that_somebody_else_has_measured_is_told_within_seconds() -> None:
    told = await kept(0, 0, moves=17_184)
    calm = await kept(0, 0, moves=400)

    assert told.at_ms[0] <= 12_000
    first, after = told.signals
    assert (first.level, first.reason, first.value) == (
        SignalLevel.DEGRADE,
        ReasonCode.CLOCK_DRIFT_WARN,
        17_184,
    )
    assert after.level is SignalLevel.CLEAR
    assert calm.at_ms[0] == INTERVAL_MS
    assert not calm.signals


async def test_after_a_reconnection_it_measures_at_once_and_then_as_ever() -> None:
    outcome = await kept(0, 0, reconnects=1)

    assert 10_000 <= outcome.at_ms[0] <= 12_000
    assert outcome.at_ms[1] == outcome.at_ms[0] + INTERVAL_MS


async def test_without_a_first_measurement_it_measures_at_once() -> None:
    outcome = await kept(3, synced=False)

    assert outcome.at_ms[0] < 5_000


async def test_the_first_calm_measurement_withdraws_what_a_life_before_complained_of() -> None:
    outcome = await kept(1, 2, 3)

    signals = [message for message in outcome.told if isinstance(message, HealthSignal)]
    assert len(signals) == len(outcome.told)
    assert [(signal.kind, signal.source, signal.level) for signal in signals] == [
        (SignalKind.CLOCK, "sleep", SignalLevel.CLEAR),
        (SignalKind.CLOCK, "offset", SignalLevel.CLEAR),
    ]


async def test_a_quiet_measurement_is_recorded_and_nothing_else() -> None:
    outcome = await kept(-3, offset_ms=40)

    first, *_ = outcome.audit.of(EventType.TIME_SYNC)
    assert first.draft.data == {"offset_ms": 40, "moved_ms": -3}
    assert not outcome.signals


@pytest.mark.parametrize("moved", [500, -500])
async def test_a_move_up_to_the_limit_is_quiet(moved: int) -> None:
    assert not (await kept(moved)).signals


@pytest.mark.parametrize("moved", [501, -501])
async def test_a_jump_degrades_and_is_measured_again_soon(moved: int) -> None:
    outcome = await kept(moved)

    jumped, calm = outcome.signals
    assert (jumped.kind, jumped.level) == (SignalKind.CLOCK, SignalLevel.DEGRADE)
    assert jumped.reason is ReasonCode.CLOCK_DRIFT_WARN
    assert (jumped.value, jumped.threshold, jumped.unit) == (501, 500, "ms")
    assert calm.level is SignalLevel.CLEAR
    assert calm.source == jumped.source
    assert outcome.at_ms == [INTERVAL_MS, INTERVAL_MS + 5_000]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unreachable("no answer"), id="unreachable"),
        pytest.param(Throttled(retry_after_ms=1000, banned=False), id="throttled"),
        pytest.param(Refused(-1003, "too many requests"), id="refused"),
        pytest.param(PayloadInvalid("serverTime is missing"), id="unreadable"),
    ],
)
async def test_a_failed_measurement_degrades_and_is_tried_again_soon(error: Exception) -> None:
    outcome = await kept(error)

    failed, calm = outcome.signals
    assert (failed.level, failed.reason) == (SignalLevel.DEGRADE, ReasonCode.TIME_SYNC_FAIL)
    assert failed.detail == str(error)
    assert calm.level is SignalLevel.CLEAR
    assert outcome.at_ms == [INTERVAL_MS, INTERVAL_MS + 5_000]


async def test_recovery_is_said_once() -> None:
    outcome = await kept(Unreachable("gone"), Unreachable("gone"), 1, 2)

    assert [signal.level for signal in outcome.signals] == [
        SignalLevel.DEGRADE,
        SignalLevel.DEGRADE,
        SignalLevel.CLEAR,
    ]


@pytest.mark.parametrize(("offset_ms", "warned"), [(500, False), (501, True), (-501, True)])
async def test_a_constant_offset_is_a_warning_and_never_a_signal(
    offset_ms: int, *, warned: bool
) -> None:
    outcome = await kept(0, offset_ms=offset_ms)

    alerts = [message for message in outcome.told if isinstance(message, Alert)]
    assert bool(alerts) is warned
    assert all(alert.severity is Severity.WARN for alert in alerts)
    assert all(f"by {offset_ms} ms" in alert.text for alert in alerts)
    assert not outcome.signals


@pytest.mark.parametrize(
    ("stepped_ms", "moved_ms", "slept"),
    [(90_000, 3, True), (90_000, 90_000, False), (-90_000, 90_000, False), (4_000, 3, False)],
    ids=["slept", "clock set forward", "clock set back", "a hiccup"],
)
async def test_a_step_of_the_wall_clock_is_measured_at_once_and_told_from_a_sleep(
    stepped_ms: int, moved_ms: int, *, slept: bool
) -> None:
    server, told = await _stepped(stepped_ms, [moved_ms])

    sleeps = [m for m in told if isinstance(m, Alert) and m.code is ReasonCode.SUSPEND_DETECTED]
    levels = [m.level for m in told if isinstance(m, HealthSignal) and m.source == "sleep"]
    assert server.at_ms[0] <= 2_000
    assert bool(sleeps) is slept
    # The next measurement withdraws the cause; the mode stays PAUSE until somebody resumes.
    assert levels == ([SignalLevel.PAUSE, SignalLevel.CLEAR] if slept else [SignalLevel.CLEAR])
    assert not slept or server.at_ms[1] - server.at_ms[0] <= 7_000


async def test_a_sleep_is_told_once_the_time_can_be_measured_again() -> None:
    silence = Throttled(retry_after_ms=1000, banned=False)
    server, told = await _stepped(16_000, [silence, Unreachable("cut"), Unreachable("cut"), 3])

    sleeps = [m for m in told if isinstance(m, Alert) and m.code is ReasonCode.SUSPEND_DETECTED]
    assert len(sleeps) == 1
    assert server.at_ms[3] <= 6_000


async def test_a_large_step_is_in_doubt_at_once_and_a_sleep_told_by_the_first_answer() -> None:
    _, told = await _stepped(28_000, [3], takes_ms=9_000)

    doubt, pause, alert, *_ = told
    assert isinstance(doubt, HealthSignal)
    assert (doubt.level, doubt.source, doubt.value) == (SignalLevel.DEGRADE, "offset", 28_000)
    assert isinstance(pause, HealthSignal)
    assert (pause.level, pause.source) == (SignalLevel.PAUSE, "sleep")
    assert isinstance(alert, Alert)
    assert alert.at_ms - 28_000 - _BEGAN_MS <= 2_000
    assert [m for m in told if isinstance(m, Alert)] == [alert]


async def test_a_clock_that_was_set_is_in_doubt_at_once_and_never_taken_for_a_sleep() -> None:
    _, told = await _stepped(28_000, [-28_000], takes_ms=9_000)

    signals = [message for message in told if isinstance(message, HealthSignal)]
    assert [signal.level for signal in signals[:1]] == [SignalLevel.DEGRADE]
    assert all(signal.level is not SignalLevel.PAUSE for signal in signals)
    assert not [message for message in told if isinstance(message, Alert)]


async def _stepped(
    stepped_ms: int, answers: list[int | Exception], *, takes_ms: int = 0
) -> tuple[_Measured, list[GovernorInbox]]:
    """What the keeper tells after the wall clock stepped, with these measurements."""
    clock, audit = ManualClock(), RecordingAudit()
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 64, clock)
    async with anyio.create_task_group() as tasks:
        server = _Measured(clock, answers, tasks.cancel_scope.cancel, takes_ms=takes_ms)
        keeper = ClockKeeper(
            settings=TimeSettings(),
            clock=clock,
            server_clock=server,
            audit=audit,
            governor=governor,
            beat=lambda: None,
        )
        await tasks.start(keeper.run)
        clock.wall_ms += stepped_ms

    return server, list(iter(governor.receive_nowait, None))
