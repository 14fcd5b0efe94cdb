"""The runtime measures itself: a reading becomes a signal at its limits, told once a change."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import anyio
import msgspec
import pytest

from livespot.actors.audit import WriterStats
from livespot.actors.health import Health
from livespot.actors.mail import GovernorInbox
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import LivespotError, PayloadInvalid, Throttled, Unreachable
from livespot.contracts.ports import Scope
from livespot.contracts.records import HealthSample
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import EventType, SignalKind, SignalLevel
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.unprotected import Unprotected
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.scripted_venue import ScriptedVenue
from livespot.testing.server_clock import FixedOffset

CLEAR, DEGRADE, PAUSE = SignalLevel.CLEAR, SignalLevel.DEGRADE, SignalLevel.PAUSE
_FIGURES = {"capacity": 1000, "lag_ms": 4, "commits": 9, "failed": False, "trail_behind": False}
QUIET_WRITER = msgspec.convert(
    dict.fromkeys(WriterStats.__struct_fields__, 0) | _FIGURES, WriterStats
)


@dataclass
class _Age:
    """A stream's or the account's age, as the test says."""

    value: int | None = 0
    interval_ms: int = 1000
    silent_percent: int = 0

    def age_ms(self, now_ms: int) -> int | None:
        return self.value


@dataclass
class _Host:
    free: int = 10**12
    files: int = 4

    def free_bytes(self) -> int:
        return self.free

    def open_files_percent(self) -> int:
        return self.files

    def rss_bytes(self) -> int:
        return 1001

    def cpu_percent_x100(self) -> int:
        return 1002

    def database_bytes(self) -> tuple[int, int]:
        return 1003, 1004


@dataclass
class _Counts:
    used_weight: int = 1005
    weight_limit: int = 6000
    unfilled_orders_pct: int = 7


@dataclass(slots=True)
class _Probe(ScriptedVenue):
    """Answers with the time, an error, or never; counts how often it was asked."""

    error: LivespotError | None = None
    silent: bool = False
    asked: int = 0
    is_waited_for: bool = False

    async def server_time_ms(self) -> int:
        self.asked += 1
        if self.silent:
            self.is_waited_for = True
            try:
                await anyio.Event().wait()
            finally:
                self.is_waited_for = False
        if self.error is not None:
            raise self.error
        return self.clock.now_ms()


class _Paced(ManualClock):
    """Each sleep of the actor ends one pass and lets the test act; limits pass with its time."""

    def __init__(self) -> None:
        super().__init__()
        self.between: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self._limits: list[tuple[int, anyio.CancelScope]] = []

    async def sleep(self, seconds: float) -> None:
        self.between()
        await super().sleep(seconds)
        self.after()
        for due_ms, scope in self._limits:
            if due_ms <= self.mono_ms:
                scope.cancel()

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        scope = anyio.CancelScope(shield=shield)
        if seconds is not None:
            self._limits.append((self.mono_ms + round(seconds * 1000), scope))
        return scope


@dataclass
class _Bench:
    """Health and everything it reads; by default all is well."""

    settings: Settings = field(default_factory=Settings)
    clock: _Paced = field(default_factory=_Paced)
    audit: RecordingAudit = field(default_factory=RecordingAudit)
    stream: _Age = field(default_factory=_Age)
    rest: _Age = field(default_factory=_Age)
    host: _Host = field(default_factory=_Host)
    writer: WriterStats = QUIET_WRITER
    overdue: dict[str, int] = field(default_factory=dict)
    loop_ms: int = 0

    def __post_init__(self) -> None:
        self.governor: Mailbox[GovernorInbox] = Mailbox("governor", 64, self.clock)
        self.probe = _Probe(clock=self.clock)
        self.announced: list[Alert] = []
        self.beats = 0
        self.closed = 0
        self.unprotected = Unprotected()
        self.looked_ms: list[int] = []

    def written(self, **changes: int | bool) -> None:
        """The writer's figures from now on."""
        self.writer = msgspec.structs.replace(QUIET_WRITER, **changes)

    def _beat(self) -> None:
        self.beats += 1

    def _close(self) -> None:
        self.closed += 1

    async def passes(self, *steps: Callable[[], None]) -> list[list[HealthSignal]]:
        """What was told in each pass, less the CLEARs of the first; steps go between the passes."""
        first, *rest = await self.all_passes(*steps)
        return [[signal for signal in first if signal.level is not CLEAR], *rest]

    async def all_passes(self, *steps: Callable[[], None]) -> list[list[HealthSignal]]:
        told: list[list[HealthSignal]] = []
        waiting = list(steps)
        with anyio.CancelScope() as scope:

            def between() -> None:
                told.append(self._drained())
                self.looked_ms.append(self.clock.monotonic_ms())
                if not waiting:
                    scope.cancel()
                    return
                waiting.pop(0)()

            self.clock.between = between
            await self._health().run()
        return told

    def _drained(self) -> list[HealthSignal]:
        found = []
        while (message := self.governor.receive_nowait()) is not None:
            assert isinstance(message, HealthSignal)
            found.append(message)
        return found

    def _health(self) -> Health:
        return Health(
            settings=self.settings,
            clock=self.clock,
            audit=self.audit,
            governor=self.governor,
            mailboxes=(self.governor,),
            overdue_ms=lambda: self.overdue,
            loop_worst_ms=lambda: self.loop_ms,
            writer_stats=lambda: self.writer,
            stream_age=self.stream,
            rest_age=self.rest,
            probe=self.probe,
            server_clock=FixedOffset(self.clock, 12),
            counts=_Counts(),
            host=self.host,
            beat=self._beat,
            close_entries=self._close,
            announce=self.announced.append,
            unprotected=self.unprotected,
        )


def nothing() -> None:
    """A step in which nothing happens."""


def shown(signals: list[HealthSignal]) -> list[tuple[SignalKind, str, SignalLevel, ReasonCode]]:
    return [(signal.kind, signal.source, signal.level, signal.reason) for signal in signals]


async def test_a_healthy_runtime_says_so_once_and_beats() -> None:
    bench = _Bench()

    first, *later = await bench.all_passes(nothing, nothing)

    # Repeated at a restart, this withdraws what the life before complained of.
    assert [signal.source for signal in first if signal.level is CLEAR] == [
        "loop",
        "rest",
        "market stream",
        "silent symbols",
        "writer lag",
        "writer depth",
        "writer failed",
        "audit volume",
        "open files",
    ]
    assert later == [[], []]
    assert bench.beats == 3
    assert bench.probe.asked == 0


@pytest.mark.parametrize(
    ("age_ms", "level", "code"),
    [
        (4_999, None, None),
        (5_000, DEGRADE, ReasonCode.LOOP_STUCK_DEGRADE),
        (14_999, DEGRADE, ReasonCode.LOOP_STUCK_DEGRADE),
        (15_000, PAUSE, ReasonCode.LOOP_STUCK_PAUSE),
    ],
)
@pytest.mark.parametrize("source", ["loop", "risk"])
async def test_a_stuck_part_is_told_by_its_name(
    source: str, age_ms: int, level: SignalLevel | None, code: ReasonCode | None
) -> None:
    bench = _Bench()
    if source == "loop":
        bench.loop_ms = age_ms
    else:
        bench.overdue = {"governor": 0, source: age_ms}

    (told,) = await bench.passes()

    expected = [] if level is None else [(SignalKind.LOOP_STUCK, source, level, code)]
    assert shown(told) == expected


@pytest.mark.parametrize("source", ["execution", "position"])
async def test_who_protects_may_stand_still_for_5_s_while_something_may_be_bare(
    source: str,
) -> None:
    bench = _Bench(overdue={source: 5_000})
    bench.unprotected.set("dec_1", holds=True)

    def protected() -> None:
        bench.unprotected.set("dec_1", holds=False)

    told = await bench.passes(protected)

    assert [shown(signals) for signals in told] == [
        [(SignalKind.LOOP_STUCK, source, PAUSE, ReasonCode.LOOP_STUCK_PAUSE)],
        [(SignalKind.LOOP_STUCK, source, DEGRADE, ReasonCode.LOOP_STUCK_DEGRADE)],
    ]


async def test_who_protects_nothing_may_stand_still_for_15_s_all_the_same() -> None:
    bench = _Bench(overdue={"scanner": 5_000})
    bench.unprotected.set("dec_1", holds=True)

    (told,) = await bench.passes()

    assert [signal.level for signal in told] == [DEGRADE]


@pytest.mark.parametrize(("age_ms", "closed"), [(4_999, 0), (5_000, 1)])
async def test_entries_are_closed_while_the_governor_is_stuck(age_ms: int, closed: int) -> None:
    bench = _Bench(overdue={"governor": age_ms})

    await bench.passes()

    assert bench.closed == closed


async def test_a_stuck_governor_is_announced_without_it_once_at_each_limit() -> None:
    bench = _Bench(overdue={"governor": 5_000})

    def later(age_ms: int) -> Callable[[], None]:
        return lambda: bench.overdue.update(governor=age_ms)

    await bench.passes(later(5_250), later(15_000), later(15_250), later(0), later(6_000))

    assert [alert.code for alert in bench.announced] == [
        ReasonCode.LOOP_STUCK_DEGRADE,
        ReasonCode.LOOP_STUCK_PAUSE,
        ReasonCode.LOOP_STUCK_DEGRADE,
    ]
    assert "entries are closed" in bench.announced[0].text


@pytest.mark.parametrize("age_ms", [5_000, 60_000])
async def test_a_watchdog_that_stopped_watching_is_degrade_and_no_more(age_ms: int) -> None:
    bench = _Bench(overdue={"watchdog": age_ms})

    (told,) = await bench.passes()

    assert shown(told) == [
        (SignalKind.LOOP_STUCK, "watchdog", DEGRADE, ReasonCode.LOOP_STUCK_DEGRADE)
    ]


@pytest.mark.parametrize(
    ("percent", "level", "code"),
    [
        (69, None, None),
        (70, DEGRADE, ReasonCode.LOOP_STUCK_DEGRADE),
        (89, DEGRADE, ReasonCode.LOOP_STUCK_DEGRADE),
        (90, PAUSE, ReasonCode.LOOP_STUCK_PAUSE),
    ],
)
async def test_open_files_are_told_before_none_can_be_opened(
    percent: int, level: SignalLevel | None, code: ReasonCode | None
) -> None:
    bench = _Bench(host=_Host(files=percent))

    (told,) = await bench.passes()

    expected = [] if level is None else [(SignalKind.LOOP_STUCK, "open files", level, code)]
    assert shown(told) == expected


async def test_the_loops_own_reading_is_the_watchdogs_worst_and_not_its_last_beat() -> None:
    bench = _Bench(overdue={"loop": 60_000}, loop_ms=10)

    assert await bench.passes() == [[]]


@pytest.mark.parametrize(
    ("age_ms", "level", "code"),
    [
        (None, None, None),
        (9_999, None, None),
        (10_000, DEGRADE, ReasonCode.REST_STALE_DEGRADE),
        (59_999, DEGRADE, ReasonCode.REST_STALE_DEGRADE),
        (60_000, PAUSE, ReasonCode.REST_STALE_PAUSE),
    ],
)
async def test_silence_of_rest_is_told_at_its_limits(
    age_ms: int | None, level: SignalLevel | None, code: ReasonCode | None
) -> None:
    bench = _Bench(rest=_Age(age_ms))

    (told,) = await bench.passes()

    assert shown(told) == ([] if level is None else [(SignalKind.REST_STALE, "rest", level, code)])


async def test_a_slow_reconcile_interval_stretches_the_limits_of_rest() -> None:
    bench = _Bench(rest=_Age(59_999, interval_ms=20_000))

    assert await bench.passes() == [[]]


@pytest.mark.parametrize(
    ("age_ms", "level", "code"),
    [
        (None, None, None),
        (1_999, None, None),
        (2_000, DEGRADE, ReasonCode.WS_STALE_DEGRADE),
        (9_999, DEGRADE, ReasonCode.WS_STALE_DEGRADE),
        (10_000, PAUSE, ReasonCode.WS_STALE_PAUSE),
    ],
)
async def test_a_silent_stream_is_told_at_its_limits_while_rest_is_down(
    age_ms: int | None, level: SignalLevel | None, code: ReasonCode | None
) -> None:
    bench = _Bench(stream=_Age(age_ms))
    bench.probe.error = Unreachable("down")

    first, second = await bench.passes(nothing)

    # Until REST has failed as well, all that is known is a silent stream.
    told = first[:-1] + second if level is PAUSE else first + second
    expected = [] if level is None else [(SignalKind.WS_STALE, "market stream", level, code)]
    assert shown(told) == expected
    assert bench.probe.asked == (1 if level is PAUSE else 0)


async def test_who_stands_still_is_told_while_rest_has_yet_to_answer_for_a_dead_stream() -> None:
    bench = _Bench(stream=_Age(20_000))
    bench.probe.silent = True
    waited_for: list[bool] = []

    def stuck() -> None:
        bench.overdue = {"execution": 5_000}

    def look() -> None:
        waited_for.append(bench.probe.is_waited_for)

    _, _, told, _ = await bench.passes(nothing, stuck, look)

    assert shown(told) == [
        (SignalKind.LOOP_STUCK, "execution", DEGRADE, ReasonCode.LOOP_STUCK_DEGRADE)
    ]
    assert waited_for == [True]


async def test_an_answer_that_comes_after_its_outage_says_nothing_of_the_next_one() -> None:
    bench = _Bench(stream=_Age(20_000))
    bench.probe.silent = True

    def flow() -> None:
        bench.stream.value = 5

    def fall_silent() -> None:
        bench.probe.silent, bench.stream.value = False, 20_000

    # The probe's limit passes while the stream flows and nothing is measured.
    told = await bench.passes(nothing, flow, *[nothing] * 6, fall_silent, *[nothing] * 8)

    assert [signal.level for each in told for signal in each] == [DEGRADE, CLEAR, DEGRADE]


async def test_a_dead_stream_only_degrades_while_rest_answers() -> None:
    bench = _Bench(stream=_Age(3_600_000))

    ((signal,), again) = await bench.passes(nothing)

    assert (signal.level, signal.reason) == (DEGRADE, ReasonCode.WS_STALE_DEGRADE)
    assert again == []


async def test_many_silent_symbols_degrade_although_the_stream_flows() -> None:
    bench = _Bench(stream=_Age(5, silent_percent=31))

    ((signal,),) = await bench.passes()

    assert (signal.level, signal.source, signal.value) == (DEGRADE, "silent symbols", 31)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unreachable("down"), id="unreachable"),
        pytest.param(Throttled(retry_after_ms=9, banned=True), id="banned"),
        pytest.param(PayloadInvalid("html"), id="captive-portal"),
        pytest.param(None, id="no-answer-in-time"),
    ],
)
async def test_a_dead_stream_pauses_once_rest_fails_too_and_degrades_when_it_is_back(
    error: LivespotError | None,
) -> None:
    bench = _Bench(stream=_Age(20_000))

    def fail() -> None:
        bench.probe.error, bench.probe.silent = error, error is None

    def answer() -> None:
        bench.probe.error, bench.probe.silent = None, False

    # REST is asked once a second, and given three to answer: a quarter of a second is a pass.
    four_seconds = [nothing] * 16
    told = await bench.passes(
        fail, *four_seconds, answer, *four_seconds, lambda: setattr(bench.stream, "value", 5)
    )

    levels = [signal.level for each in told for signal in each]
    assert levels == [DEGRADE, PAUSE, DEGRADE, CLEAR]


@pytest.mark.parametrize(
    ("age_ms", "level", "code"),
    [
        (4_999, None, None),
        (5_000, DEGRADE, ReasonCode.DB_WRITER_BACKPRESSURE),
        (14_999, DEGRADE, ReasonCode.DB_WRITER_BACKPRESSURE),
        (15_000, PAUSE, ReasonCode.DB_WRITER_QUEUE_FULL),
    ],
)
async def test_an_event_that_waits_for_the_database_is_told_at_its_limits(
    age_ms: int, level: SignalLevel | None, code: ReasonCode | None
) -> None:
    bench = _Bench()
    bench.written(oldest_age_ms=age_ms)

    (told,) = await bench.passes()

    expected = [] if level is None else [(SignalKind.DB_WRITER, "writer lag", level, code)]
    assert shown(told) == expected


@pytest.mark.parametrize(
    ("depth", "level", "code"),
    [
        (799, None, None),
        (800, DEGRADE, ReasonCode.DB_WRITER_QUEUE_HIGH),
        (949, DEGRADE, ReasonCode.DB_WRITER_QUEUE_HIGH),
        (950, PAUSE, ReasonCode.DB_WRITER_QUEUE_FULL),
    ],
)
async def test_a_full_queue_is_told_once_it_has_stayed_full_for_two_seconds(
    depth: int, level: SignalLevel | None, code: ReasonCode | None
) -> None:
    bench = _Bench()
    bench.written(depth=depth)

    told = await bench.passes(*[nothing] * 8)

    expected = [] if level is None else [(SignalKind.DB_WRITER, "writer depth", level, code)]
    assert all(not each for each in told[:8])
    assert shown(told[8]) == expected


async def test_a_short_spike_of_the_queue_is_harmless() -> None:
    bench = _Bench()
    bench.written(depth=1000)

    told = await bench.passes(
        *[nothing] * 6, bench.written, lambda: bench.written(depth=1000), *[nothing] * 7
    )

    assert not any(told)


@pytest.mark.parametrize("figure", ["failed", "trail_behind"])
async def test_a_failed_write_or_a_late_trail_pauses_at_once_and_clears_when_mended(
    figure: str,
) -> None:
    bench = _Bench()

    told = await bench.passes(
        lambda: bench.written(**{figure: True, "failed_writes": 3}), nothing, bench.written
    )

    code = ReasonCode.AUDIT_WRITE_FAILED
    assert [shown(each) for each in told] == [
        [],
        [(SignalKind.DB_WRITER, "writer failed", PAUSE, code)],
        [],
        [(SignalKind.DB_WRITER, "writer failed", CLEAR, code)],
    ]
    assert told[1][0].value == 3


@pytest.mark.parametrize(
    ("free", "level", "code"),
    [
        (1_073_741_825, None, None),
        (1_073_741_824, DEGRADE, ReasonCode.DISK_LOW_DEGRADE),
        (536_870_913, DEGRADE, ReasonCode.DISK_LOW_DEGRADE),
        (536_870_912, PAUSE, ReasonCode.DISK_LOW_PAUSE),
    ],
)
async def test_a_filling_disk_is_told_at_its_limits(
    free: int, level: SignalLevel | None, code: ReasonCode | None
) -> None:
    bench = _Bench(host=_Host(free))

    (told,) = await bench.passes()

    expected = [] if level is None else [(SignalKind.DISK_LOW, "audit volume", level, code)]
    assert shown(told) == expected


async def test_a_level_is_told_when_it_changes_and_not_when_the_value_does() -> None:
    bench = _Bench()

    told = await bench.passes(
        *(
            lambda age=age: setattr(bench.rest, "value", age)
            for age in (11_000, 12_000, 61_000, 62_000, 30_000, 5, 6)
        )
    )

    assert [[signal.level for signal in each] for each in told] == [
        [],
        [DEGRADE],
        [],
        [PAUSE],
        [],
        [DEGRADE],
        [CLEAR],
        [],
    ]


async def test_a_signal_carries_what_the_operator_wants_to_see() -> None:
    bench = _Bench(rest=_Age(12_345))

    ((signal,),) = await bench.passes()

    assert (signal.value, signal.threshold, signal.unit) == (12_345, 10_000, "ms")
    assert signal.at_ms == 1_700_000_000_000


async def test_two_parts_that_are_stuck_recover_each_for_itself() -> None:
    bench = _Bench(overdue={"risk": 6_000, "scanner": 7_000})

    told = await bench.passes(lambda: bench.overdue.update(risk=0))

    assert [[(signal.source, signal.level) for signal in each] for each in told] == [
        [("risk", DEGRADE), ("scanner", DEGRADE)],
        [("risk", CLEAR)],
    ]


async def test_a_sample_of_all_figures_is_recorded_at_the_interval() -> None:
    bench = _Bench(stream=_Age(None), rest=_Age(17))

    await bench.passes(*[nothing] * 20)

    first, second = bench.audit.of(EventType.DISK_HEALTH_SAMPLE)
    assert second.draft.ts_ms - first.draft.ts_ms == 5_000
    assert first.draft.data == {"free_bytes": 10**12}
    (row,) = first.records
    assert isinstance(row, HealthSample)
    sample = json.loads(row.sample_json)
    assert sample.pop("mailboxes")[0]["name"] == "governor"
    assert sample == {
        "disk_free_bytes": 10**12,
        "db_bytes": 1003,
        "wal_bytes": 1004,
        "rss_bytes": 1001,
        "cpu_percent_x100": 1002,
        "writer_depth": 0,
        "writer_lag_ms": 4,
        "writer_oldest_ms": 0,
        "writer_commits": 9,
        "writer_failed": 0,
        "stream_age_ms": None,
        "rest_age_ms": 17,
        "clock_offset_ms": 12,
        "used_weight": 1005,
        "weight_limit": 6000,
        "unfilled_orders_pct": 7,
    }


async def test_the_disk_is_looked_at_again_only_with_the_next_sample() -> None:
    bench = _Bench()

    told = await bench.passes(lambda: setattr(bench.host, "free", 0), *[nothing] * 11)

    heard = [(at_ms, told) for at_ms, told in zip(bench.looked_ms, told, strict=True) if told]
    assert [at_ms for at_ms, _ in heard] == [5000]
    assert [signal.level for signal in heard[0][1]] == [PAUSE]


@pytest.mark.parametrize(
    ("part", "limit_ms"), [("stream", 2_000), ("rest", 10_000), ("risk", 5_000), ("lag", 5_000)]
)
async def test_what_grows_old_is_told_at_the_very_millisecond_of_its_limit(
    part: str, limit_ms: int
) -> None:
    bench = _Bench(clock=_Paced())
    begun_ms = limit_ms - 730

    def grow() -> None:
        age_ms = begun_ms + bench.clock.monotonic_ms()
        if part == "lag":
            bench.written(oldest_age_ms=age_ms)
        elif part == "risk":
            bench.overdue = {"risk": age_ms}
        else:
            getattr(bench, part).value = age_ms

    grow()
    bench.clock.after = grow
    told = await bench.passes(*[nothing] * 4)

    heard = [at_ms for at_ms, told in zip(bench.looked_ms, told, strict=True) if told]
    assert heard == [730]
