"""Turns an age, a level or a score into a health signal."""

from dataclasses import dataclass

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import SignalKind, SignalLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Two thresholds of one signal and the codes they carry."""

    kind: SignalKind
    degrade_at: int
    pause_at: int
    degrade_code: ReasonCode
    pause_code: ReasonCode
    unit: str


def graded(
    limits: Limits, value: int, *, source: str, at_ms: int, detail: str = ""
) -> HealthSignal:
    """A signal for a value that is bad when high; CLEAR below the first threshold."""
    level = _level(value >= limits.degrade_at, value >= limits.pause_at)
    return _signal(limits, level, value, source=source, at_ms=at_ms, detail=detail)


def graded_low(limits: Limits, value: int, *, source: str, at_ms: int) -> HealthSignal:
    """A signal for a value that is bad when low, such as free disk space."""
    level = _level(value <= limits.degrade_at, value <= limits.pause_at)
    return _signal(limits, level, value, source=source, at_ms=at_ms)


def time_left(*ages: tuple[int, int]) -> int:
    """How long until the first of these growing ages reaches its limit, in ms; 0 when one has.

    Each pair is an age and its limit. Until then `graded` returns CLEAR for all of them.
    """
    return max(0, min(limit - age for age, limit in ages))


def _level(degrades: bool, pauses: bool) -> SignalLevel:  # noqa: FBT001  two facts, in order
    if pauses:
        return SignalLevel.PAUSE
    return SignalLevel.DEGRADE if degrades else SignalLevel.CLEAR


def _signal(
    limits: Limits, level: SignalLevel, value: int, *, source: str, at_ms: int, detail: str = ""
) -> HealthSignal:
    pausing = level is SignalLevel.PAUSE
    return HealthSignal(
        kind=limits.kind,
        level=level,
        reason=limits.pause_code if pausing else limits.degrade_code,
        source=source,
        value=value,
        threshold=limits.pause_at if pausing else limits.degrade_at,
        unit=limits.unit,
        detail=detail,
        at_ms=at_ms,
    )


@dataclass(frozen=True, slots=True)
class Sustained:
    """How long a condition has held, for levels that may spike harmlessly."""

    since_ms: int | None = None

    def seen(self, *, holds: bool, now_ms: int) -> "Sustained":
        if not holds:
            return Sustained()
        return self if self.since_ms is not None else Sustained(now_ms)

    def for_ms(self, now_ms: int) -> int:
        """How long the condition has held; 0 when it does not hold."""
        return 0 if self.since_ms is None else now_ms - self.since_ms
