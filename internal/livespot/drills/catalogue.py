"""The nine drills: what goes wrong in each, when, and what must be seen afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import Settings
from livespot.exchange.faults.plan import (
    AcceptThen,
    Ban,
    Blackhole,
    Delay,
    DropRequest,
    DropResponse,
    Fault,
    MassExpire,
    Match,
    StepClock,
    Target,
    Verb,
    When,
)
from livespot.testing.search.plan import DeathPlan
from livespot.testing.search.troubles import DiskFull, Trouble

# The kill comes this long after the entry's fill, while its report is still on its way.
_IN_FLIGHT_MS = 1
# This long after a fill, stop and target stand and nothing is in flight.
_CALM_MS = 3_000
_SECOND_LIFE_MS = 6_000
_BAN_MS = 20_000
_DISK_FULL_MS = 8_000
_BEYOND_MS = 5_000
_GATE_LEAD_MS = 10_000
_GATE_DOWN_MS = 40_000
_EXITS = ["STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What an undisturbed run does: when its first entry arrives and fills, by which request.

    Times count from the start. `method` and `path` are those of the entry's request.
    """

    settings: Settings
    method: str
    path: str
    entry_ms: int
    filled_ms: int

    @property
    def orders(self) -> Target:
        """The wire that carries orders."""
        return "ws_api" if self.method == "WS" else "rest"

    @property
    def entry(self) -> Match:
        """Matches requests like the entry's."""
        if self.method == "WS":
            return Match(method=self.path)
        return Match(method=self.method, path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """What happens in one drill, and by when, counted from the start, it is over.

    `bought`: something must be bought by the end (True), nothing before the mishap is over (False),
    or either is right (None).
    """

    over_ms: int
    faults: tuple[Fault, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    deaths: tuple[DeathPlan, ...] = ()
    bought: bool | None = True

    @property
    def planned(self) -> int:
        """The least number of hits."""
        return len(self.faults) + len(self.troubles) + len(self.deaths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """`injected` describes it; each of `codes` must be on record afterwards.

    `stops` is how many stops the position must have had at the exchange, one after the other.
    """

    name: str
    injected: str
    mishap: Callable[[Course], Mishap]
    codes: frozenset[str] = frozenset()
    stops: int = 0


def _fault(name: str, what: Verb, when: When, match: Match = Match.NOTHING) -> tuple[Fault, ...]:
    return (Fault(id=name, what=what, match=match, when=when),)


def _lost_ack(course: Course) -> Mishap:
    what = AcceptThen(then=DropResponse(target=course.orders))
    wait_ms = course.settings.timing.mutation_timeout_ms
    return Mishap(
        over_ms=course.entry_ms + wait_ms + _BEYOND_MS,
        faults=_fault("lost-ack", what, When(nth=1), course.entry),
    )


def _late_ack(course: Course) -> Mishap:
    late_ms = course.settings.timing.mutation_timeout_ms + _BEYOND_MS
    what = AcceptThen(then=Delay(target=course.orders, ms=late_ms))
    return Mishap(
        over_ms=course.entry_ms + late_ms + _BEYOND_MS,
        faults=_fault("late-ack", what, When(nth=1), course.entry),
    )


def _kill(course: Course) -> Mishap:
    deaths = (
        DeathPlan(after_ms=course.filled_ms + _IN_FLIGHT_MS),
        DeathPlan(after_ms=_SECOND_LIFE_MS),
    )
    return Mishap(over_ms=course.filled_ms + 2 * _SECOND_LIFE_MS, deaths=deaths)


def _disk_full(course: Course) -> Mishap:
    begin_ms = course.filled_ms + _CALM_MS
    trouble = Trouble(id="disk-full", what=DiskFull(), after_ms=begin_ms, for_ms=_DISK_FULL_MS)
    return Mishap(over_ms=begin_ms + _DISK_FULL_MS, troubles=(trouble,))


def _ban(course: Course) -> Mishap:
    begin_ms = course.filled_ms + _CALM_MS
    return Mishap(
        over_ms=begin_ms + _BAN_MS,
        faults=_fault("ban", Ban(ms=_BAN_MS), When(after_ms=begin_ms)),
    )


def _clock_step(course: Course) -> Mishap:
    """The clock jumps while a position is held, when its stop has to be replaced."""
    time = course.settings.time
    step_ms = max(time.recv_window_ms, time.clock_drift_max_ms) + _BEYOND_MS
    begin_ms = course.filled_ms + _CALM_MS
    when = When(after_ms=begin_ms)
    return Mishap(
        over_ms=begin_ms + step_ms + _BEYOND_MS,
        faults=(
            *_fault("clock-step", StepClock(ms=step_ms), when),
            *_fault("stop-gone", MassExpire(types=_EXITS), when),
        ),
    )


def _stream_silence(course: Course) -> Mishap:
    begin_ms = course.filled_ms + _CALM_MS
    for_ms = course.settings.health.ws_stale_ms_pause + _BEYOND_MS
    when = When(after_ms=begin_ms, for_ms=for_ms)
    return Mishap(
        over_ms=begin_ms + for_ms,
        faults=_fault("stream-silence", Blackhole(target="ws_md"), when),
    )


def _protection_lost(course: Course) -> Mishap:
    begin_ms = course.filled_ms + _CALM_MS
    return Mishap(
        over_ms=begin_ms + _BEYOND_MS,
        faults=_fault("protection-lost", MassExpire(types=_EXITS), When(after_ms=begin_ms)),
    )


def _gate_down(course: Course) -> Mishap:
    begin_ms = max(1, course.entry_ms - _GATE_LEAD_MS)
    over_ms = begin_ms + _GATE_DOWN_MS
    if course.settings.ai_gate.ai_dec == 0:
        # The gate is not called here; the drill shows that nothing depends on it.
        return Mishap(over_ms=over_ms)
    when = When(after_ms=begin_ms, for_ms=_GATE_DOWN_MS)
    what = DropRequest(target="ai", then="reset")
    return Mishap(over_ms=over_ms, faults=_fault("gate-down", what, when), bought=False)


_CATALOGUE = (
    Drill(
        name="lost-ack",
        injected="the entry is done, its answer never comes",
        mishap=_lost_ack,
        codes=frozenset({ReasonCode.INTENT_SENT_UNKNOWN}),
    ),
    Drill(
        name="late-ack",
        injected="the entry's answer comes after its limit",
        mishap=_late_ack,
        codes=frozenset({ReasonCode.INTENT_SENT_UNKNOWN}),
    ),
    Drill(
        name="kill-9",
        injected="killed as the entry is filled, and again with the position",
        mishap=_kill,
        codes=frozenset({ReasonCode.UNCLEAN_SHUTDOWN}),
        stops=1,
    ),
    Drill(
        name="disk-full",
        injected="nothing can be written for 8 s",
        mishap=_disk_full,
        codes=frozenset({ReasonCode.UNCLEAN_SHUTDOWN}),
    ),
    Drill(
        name="ban",
        injected="the exchange bans this address for 20 s",
        mishap=_ban,
        codes=frozenset({ReasonCode.RATE_LIMIT_418, ReasonCode.ENTER_PAUSE}),
    ),
    Drill(
        name="clock-step",
        injected="the exchange's clock jumps as stop and target expire",
        mishap=_clock_step,
        codes=frozenset({ReasonCode.BINANCE_TIMESTAMP_REJECTED}),
        stops=2,
    ),
    Drill(
        name="stream-silence",
        injected="market streams stay open and say nothing",
        mishap=_stream_silence,
        codes=frozenset({ReasonCode.WS_STALE_DEGRADE}),
    ),
    Drill(
        name="protection-lost",
        injected="the exchange expires stop and target",
        mishap=_protection_lost,
        stops=2,
    ),
    Drill(
        name="gate-down",
        injected="the model is unreachable when the entry is due",
        mishap=_gate_down,
    ),
)
CATALOGUE: Mapping[str, Drill] = {drill.name: drill for drill in _CATALOGUE}
