"""When the lives of a replay are stopped in order; the first stop may come sooner."""

from collections.abc import Callable
from dataclasses import dataclass, field

from livespot.store.inline import InlineReader


@dataclass(slots=True, kw_only=True)
class Schedule:
    """Times in milliseconds since the replay's beginning.

    `saved_ms` is how much sooner than planned the first restart came, and everything after it.
    """

    restarts_at_ms: tuple[int, ...]
    span_ms: int
    saved_ms: int = field(default=0, init=False)

    def end_after(self, now_ms: int) -> int:
        """Return when a life that begins now is to be stopped."""
        return next((ms for ms in self.restarts_at_ms if now_ms < ms), self.span_ms)

    def is_unscathed(self, now_ms: int) -> bool:
        """Whether no restart was due yet."""
        return all(now_ms < ms for ms in self.restarts_at_ms)

    def is_last(self, end_ms: int) -> bool:
        """Whether a life that is stopped then is the last one."""
        return end_ms == self.span_ms

    def bring_forward(self, now_ms: int) -> None:
        """Make the first restart now; the later times keep their distance to it."""
        sooner = self.restarts_at_ms[0] - now_ms
        self.restarts_at_ms = tuple(ms - sooner for ms in self.restarts_at_ms)
        self.span_ms -= sooner
        self.saved_ms += sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyRestart:
    """Restarts for the first time as soon as `settled` returns true.

    It is called every `every_ms` from `from_ms` on, with the milliseconds that are over and a
    reader of the running life's database.
    """

    from_ms: int
    every_ms: int
    settled: Callable[[int, InlineReader], bool]
