"""The course of a plan: which faults are armed, which subjects they hit, when they end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from livespot.exchange.faults.matching import Subject, concerns
from livespot.exchange.faults.plan import ACTS, Fault, FaultPlan, Match
from livespot.exchange.prng import SplitMix

Phase: TypeAlias = Literal["planned", "armed", "active", "ended"]


@dataclass(slots=True, kw_only=True)
class Course:
    """One fault's life. Times are market epoch ms; `end_ms` None means until healed.

    A fault is armed while it waits for its subjects; one that acts on the exchange itself is
    active from the moment it took effect.
    """

    fault: Fault
    begin_ms: int
    end_ms: int | None
    chance: SplitMix
    phase: Phase = "planned"
    seen: int = 0
    fired: int = 0

    @property
    def acts(self) -> bool:
        """True for verbs that change the exchange instead of its traffic."""
        return isinstance(self.fault.what, ACTS)

    @property
    def waits(self) -> bool:
        """True when an act is set off by a request instead of by time alone."""
        return self.fault.match != Match.NOTHING

    @property
    def is_spent(self) -> bool:
        """True when it has hit as many subjects as it may."""
        when = self.fault.when
        most = when.count or (1 if when.nth else None)
        return most is not None and self.fired >= most

    def hits(self, subject: Subject) -> bool:
        """Count a subject that the fault concerns; true when this one is hit."""
        if self.is_spent or not concerns(self.fault, subject):
            return False
        self.seen += 1
        when = self.fault.when
        if when.nth is not None and self.seen < when.nth:
            return False
        share = when.probability_x10000
        if share is not None and self.chance.below(10_000) >= share:
            return False
        self.fired += 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A fault that begins or ends, at its planned time."""

    course: Course
    at_ms: int
    begins: bool


@dataclass(slots=True)
class FaultBoard:
    """All faults of a run. Same plan, same subjects at the same times: same hits."""

    courses: dict[str, Course] = field(default_factory=dict)
    # The next turn, as long as no fault has come, gone, begun or ended since it was looked for.
    _soonest: Turn | None = None
    _is_known: bool = False

    def add(self, plan: FaultPlan, now_ms: int) -> None:
        """Take in a plan; `after_ms` and the plan's healing count from `now_ms`."""
        self._is_known = False
        heal_ms = None if plan.heal_after_ms is None else now_ms + plan.heal_after_ms
        for fault in plan.faults:
            when = fault.when
            begin_ms = now_ms + (when.after_ms or 0) if when.at_ms is None else when.at_ms
            ends = [] if when.for_ms is None else [begin_ms + when.for_ms]
            ends += [] if heal_ms is None else [heal_ms]
            self.courses[fault.id] = Course(
                fault=fault,
                begin_ms=begin_ms,
                end_ms=min(ends, default=None),
                chance=SplitMix(f"{plan.seed}:{fault.id}"),
            )

    def next_ms(self) -> int | None:
        """When the next fault begins or ends."""
        turn = self._next()
        return None if turn is None else turn.at_ms

    def advance(self, now_ms: int) -> Iterator[Turn]:
        """Every beginning and end that is due, in order of time, then of the plan."""
        while (turn := self._next()) is not None and turn.at_ms <= now_ms:
            self._take(turn)
            yield turn

    def hit(self, subject: Subject) -> list[Course]:
        """Armed faults that hit this subject, in the plan's order. Those spent end with it."""
        struck = []
        for course in self.courses.values():
            if course.phase == "armed" and course.hits(subject):
                struck.append(course)
                if course.acts:
                    course.phase = "active"
        return struck

    def armed(self) -> list[Course]:
        """Faults that wait for subjects now."""
        return [course for course in self.courses.values() if course.phase == "armed"]

    def end(self, course: Course) -> None:
        """Nothing more comes of this fault."""
        self._is_known = False
        course.phase = "ended"

    def _next(self) -> Turn | None:
        """The soonest beginning or end, the first of the plan among those of one instant."""
        if not self._is_known:
            self._soonest, self._is_known = self._looked_for(), True
        return self._soonest

    def _looked_for(self) -> Turn | None:
        soonest: Course | None = None
        at_ms, begins = 0, False
        for course in self.courses.values():
            phase, end_ms = course.phase, course.end_ms
            if phase == "ended":
                continue
            starts = phase == "planned" and (end_ms is None or end_ms > course.begin_ms)
            due_ms = course.begin_ms if starts else end_ms
            if due_ms is not None and (soonest is None or due_ms < at_ms):
                soonest, at_ms, begins = course, due_ms, starts
        return None if soonest is None else Turn(course=soonest, at_ms=at_ms, begins=begins)

    def _take(self, turn: Turn) -> None:
        self._is_known = False
        course = turn.course
        if not turn.begins:
            course.phase = "ended"
        elif course.acts and not course.waits:
            course.phase, course.fired = "active", 1
        else:
            course.phase = "armed"
