"""When the lives of a replay are stopped in order; the first of these times may come sooner."""

from collections.abc import Callable
from dataclasses import dataclass, field

from livespot.store.inline import InlineReader


@dataclass(slots=True, kw_only=True)
class Schedule:
    """Times are milliseconds since the replay's beginning.

    `saved_ms` is how much sooner than planned the first restart came, and with it all that follows.
    """

    restarts_at_ms: tuple[int, ...]
    span_ms: int
    saved_ms: int = field(default=0, init=False)

    def end_after(self, now_ms: int) -> int:
        """When a life that begins now is to be stopped."""
        return next((ms for ms in self.restarts_at_ms if now_ms < ms), self.span_ms)

    def is_unscathed(self, now_ms: int) -> bool:
        """Whether no restart has been due yet."""
        return all(now_ms < ms for ms in self.restarts_at_ms)

    def is_last(self, end_ms: int) -> bool:
        """Whether nothing follows a life that was to be stopped then."""
        return end_ms == self.span_ms

    def bring_forward(self, now_ms: int) -> None:
        """Let the first restart be now; what follows keeps its distance."""
        sooner = self.restarts_at_ms[0] - now_ms
        self.restarts_at_ms = tuple(ms - sooner for ms in self.restarts_at_ms)
        self.span_ms -= sooner
        self.saved_ms += sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyRestart:
    """Restart for the first time as soon as `settled` says so.

    It hears the milliseconds that are over and can read what the life of the moment has on record.
    It is asked `every_ms` from `from_ms` on.
    """

    from_ms: int
    every_ms: int
    settled: Callable[[int, InlineReader], bool]
