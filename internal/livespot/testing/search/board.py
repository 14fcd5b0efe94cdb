"""Knows which troubles of a plan are due and which have happened; logs what they hit."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from livespot.contracts.ports import Clock
from livespot.testing.search.troubles import Trouble

W = TypeVar("W")
LOG_FILE = "harness.jsonl"


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the harness's log: a trouble hit something, with the immediate result."""

    t_ms: int
    id: str
    verb: str
    told: str = ""


@dataclass(slots=True)
class Board:
    """Knows which troubles are due and which have happened; each hit is logged.

    From `healed_ms` on, counted from the beginning, nothing happens any more.
    """

    troubles: Sequence[Trouble]
    clock: Clock
    healed_ms: int
    log: Path
    began_ms: int = field(init=False)
    _passed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.began_ms = self.clock.now_ms()

    def span(self, trouble: Trouble) -> tuple[int, int]:
        """Return when a trouble begins and ends, counted from the beginning."""
        return trouble.after_ms, min(trouble.after_ms + trouble.for_ms, self.healed_ms)

    def running(self, kind: type[W]) -> Iterator[tuple[Trouble, W]]:
        """Yield the troubles of a kind that are under way."""
        at_ms = self.clock.now_ms() - self.began_ms
        for trouble in self.troubles:
            begin_ms, end_ms = self.span(trouble)
            if isinstance(trouble.what, kind) and begin_ms <= at_ms < end_ms:
                yield trouble, trouble.what

    def reached(self, kind: type[W], about: Callable[[W], bool]) -> Iterator[W]:
        """Yield the troubles of a kind that are due at this event, which is counted for each."""
        at_ms = self.clock.now_ms() - self.began_ms
        for trouble in self.troubles:
            what = trouble.what
            if not isinstance(what, kind) or not about(what):
                continue
            if not trouble.after_ms <= at_ms < self.healed_ms:
                continue
            self._passed[trouble.id] += 1
            if self._passed[trouble.id] == getattr(what, "nth", 1):
                self.hit(trouble)
                yield what

    def coming(self, kind: type[W]) -> list[Trouble]:
        """Return the troubles of a kind that have not begun, in the order of their times."""
        at_ms = self.clock.now_ms() - self.began_ms
        found = [t for t in self.troubles if isinstance(t.what, kind) and t.after_ms > at_ms]
        return sorted(found, key=lambda trouble: trouble.after_ms)

    def hit(self, trouble: Trouble, *, verb: str = "", told: str = "") -> None:
        at_ms = self.clock.now_ms()
        line = Noted(t_ms=at_ms, id=trouble.id, verb=verb or trouble.verb, told=told)
        with self.log.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


def read_hits(path: Path) -> tuple[Noted, ...]:
    """Every line of the log, in order; none where there is no log."""
    if not path.exists():
        return ()
    lines = path.read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=Noted) for line in lines)


def read_log(path: Path) -> dict[str, int]:
    """How often each trouble hit something; empty where there was none."""
    return dict(Counter(hit.id for hit in read_hits(path)))
