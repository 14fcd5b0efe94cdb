"""Where a running exchange asks whether a fault hits, and where plans are changed."""

import heapq
from collections.abc import Callable

import anyio

from livespot.contracts.ports import Clock
from livespot.exchange.faults.board import Course, FaultBoard
from livespot.exchange.faults.effects import Effects, Exchange
from livespot.exchange.faults.fault_clock import FaultClock
from livespot.exchange.faults.lines import Lines
from livespot.exchange.faults.matching import Kind, Subject, is_bare, place
from livespot.exchange.faults.plan import (
    ACTS,
    EVENTS,
    ONCE,
    Blackhole,
    Fault,
    FaultPlan,
    HalfOpen,
    Halt,
    Reset,
)
from livespot.exchange.journal import Journal, ModeRow

# They hold connections, which must not be let go before the fault's end.
_HOLDS = (Blackhole, HalfOpen)


class Injector:
    """One per exchange that may have faults. `clock` is the market's, which no fault moves.

    `stop_ms` is when the exchange is to end: no fault begins after it.
    """

    def __init__(self, clock: Clock, journal: Journal, *, stop_ms: int | None = None) -> None:
        self.believed = FaultClock(clock)
        self.lines = Lines()
        self._clock = clock
        self._journal = journal
        self._stop_ms = stop_ms
        self._board = FaultBoard()
        self._effects: Effects | None = None
        self._later: list[tuple[int, int, Callable[[], object]]] = []
        self._numbered = 0
        self._watched: set[str] = set()
        self._acting = False
        self._changed = anyio.Event()

    def bind(self, exchange: Exchange, plan: FaultPlan | None, start_ms: int) -> None:
        """Tie it to its exchange and let a plan begin."""
        self._effects = Effects(exchange, self.believed)
        if plan is not None:
            self.load(plan, start_ms)

    def load(self, plan: FaultPlan, now_ms: int | None = None) -> None:
        """End all faults and let another plan begin."""
        self.heal()
        self._board.courses.clear()
        self._board.add(plan, self._clock.now_ms() if now_ms is None else now_ms)
        self._wake()

    def add(self, fault: Fault, seed: int = 0) -> None:
        """Add one fault to those that run; one of the same id ends first."""
        self.heal(fault.id)
        self._board.courses.pop(fault.id, None)
        self._board.add(FaultPlan(seed=seed, faults=(fault,)), self._clock.now_ms())
        self._wake()

    def heal(self, name: str | None = None) -> int:
        """End one fault, or all; how many were not over yet."""
        now_ms = self._clock.now_ms()
        chosen = [
            course
            for course in self._board.courses.values()
            if name in (None, course.fault.id) and course.phase != "ended"
        ]
        for course in chosen:
            begun = course.phase != "planned"
            self._board.end(course)
            if begun:
                self._over(course, now_ms)
        self._wake()
        return len(chosen)

    def stop(self, at_ms: int) -> None:
        """The exchange ends: let what was planned until then happen, then end it all."""
        self.advance(at_ms)
        for course in self._board.courses.values():
            if course.phase in ("armed", "active"):
                self._board.end(course)
                self._over(course, at_ms)
        self.lines.end_all()

    @property
    def courses(self) -> list[Course]:
        """Every fault and how it stands."""
        return list(self._board.courses.values())

    def advance(self, to_ms: int | None = None) -> None:
        """Let everything happen that is due by now.

        What an effect sets off asks for faults too; others that are due wait until it is done.
        """
        if self._acting:
            return
        now_ms = self._clock.now_ms() if to_ms is None else to_ms
        if self._stop_ms is not None:
            now_ms = min(now_ms, self._stop_ms)
        moved = False
        for turn in self._board.advance(now_ms):
            moved = True
            if turn.begins:
                self._begin(turn.course, turn.at_ms)
            else:
                self._over(turn.course, turn.at_ms)
        if moved:
            self._look()
        while self._later and self._later[0][0] <= now_ms:
            heapq.heappop(self._later)[2]()

    async def run(self) -> None:
        """Let things happen on time until cancelled."""
        while True:
            changed, due_ms = self._changed, self._next_ms()
            span = None if due_ms is None else max(0, due_ms - self._clock.now_ms()) / 1000
            with self._clock.move_on_after(span):
                await changed.wait()
            self.advance()

    def watches(self, kind: Kind) -> bool:
        """True while some armed fault may be about such traffic."""
        self.advance()
        return kind in self._watched

    def strike(self, subject: Subject, where: str) -> list[Course]:
        """The faults that hit a subject, already journalled; acts have taken effect."""
        struck = self._board.hit(subject)
        now_ms = self._clock.now_ms()
        for course in struck:
            hit = where
            if course.acts:
                hit = f"{where}: {self._apply(course, now_ms)}"
            if subject.kind != "ws_md":
                self._note(course, now_ms, "fire", hit)
            self._finish_if_spent(course, now_ms)
        if struck:
            self._look()
        return [course for course in struck if not course.acts]

    def later(self, span_ms: int, act: Callable[[], object]) -> None:
        """Do something after a span of market time."""
        self._numbered += 1
        due_ms = self._clock.now_ms() + span_ms
        heapq.heappush(self._later, (due_ms, self._numbered, act))
        self._wake()

    def _begin(self, course: Course, at_ms: int) -> None:
        self._note(course, at_ms, "begin", "")
        fault = course.fault
        if course.phase == "active":
            self._note(course, at_ms, "fire", self._apply(course, at_ms))
            self._finish_if_spent(course, at_ms)
        elif isinstance(fault.what, Reset | Blackhole) and is_bare(fault.match, fault.when):
            lose = isinstance(fault.what, Reset)
            count = self.lines.strike(fault.what.target, fault.id, reset=lose)
            if count:
                course.fired += 1
                self._note(course, at_ms, "fire", f"{count} connections")

    def _apply(self, course: Course, at_ms: int) -> str:
        if self._effects is None:
            raise RuntimeError("the injector was not bound to an exchange")
        self._acting = True
        try:
            return self._effects.apply(course, at_ms)
        finally:
            self._acting = False

    def _finish_if_spent(self, course: Course, now_ms: int) -> None:
        done = isinstance(course.fault.what, ONCE) or course.is_spent
        # A state lasts until its end, and so does a connection that hangs.
        lasts = course.phase == "active" and not isinstance(course.fault.what, ONCE)
        if done and not lasts and not isinstance(course.fault.what, _HOLDS):
            self._board.end(course)
            self._over(course, now_ms)

    def _over(self, course: Course, at_ms: int) -> None:
        if self._effects is not None:
            self._effects.undo(course, at_ms)
        self.lines.end(course.fault.id)
        self._note(course, at_ms, "end", "")

    def _note(self, course: Course, at_ms: int, event: str, hit: str) -> None:
        self._journal.write(
            ModeRow(
                t_ms=at_ms,
                fault=course.fault.id,
                verb=course.fault.verb,
                event=event,
                hit=hit,
                fired=course.fired,
            )
        )

    def _next_ms(self) -> int | None:
        times = [self._board.next_ms(), self._later[0][0] if self._later else None]
        known = [at_ms for at_ms in times if at_ms is not None]
        if self._stop_ms is not None:
            known = [at_ms for at_ms in known if at_ms <= self._stop_ms]
        return min(known, default=None)

    def _wake(self) -> None:
        self._look()
        self._changed.set()
        self._changed = anyio.Event()

    def _look(self) -> None:
        """Which kinds of traffic armed faults are about."""
        self._watched = set()
        for course in self._board.armed():
            self._watched |= kinds(course.fault)


def kinds(fault: Fault) -> set[str]:
    """Kinds of traffic a fault may hit; what acts on the exchange may wait for any request."""
    if isinstance(fault.what, EVENTS):
        return {"event"}
    if isinstance(fault.what, ACTS):
        return {"rest", "ws_api", "ai", "ws_md"}
    return {"rest", "ws_api"} if isinstance(fault.what, Halt) else {place(fault)[0]}
