"""How often the gate may be asked, and how many of its failures are too many."""

from dataclasses import dataclass, replace

from livespot.contracts.settings import GateSettings
from livespot.contracts.vocabulary import SignalLevel

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
FAILURE_WINDOW_MS = 600_000
_MANDATORY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GateUsage:
    """Times of calls within a day and of failures within their window, oldest first."""

    calls_ms: tuple[int, ...] = ()
    failures_ms: tuple[int, ...] = ()


def current(usage: GateUsage, now_ms: int) -> GateUsage:
    """The usage with no time after `now_ms`.

    A clock that was ahead and has been set back would otherwise leave calls and failures that
    count until it reaches their times again; so they count from now on instead.
    """
    newest_ms = max((*usage.calls_ms, *usage.failures_ms), default=now_ms)
    if newest_ms <= now_ms:
        return usage
    return GateUsage(
        calls_ms=tuple(min(at, now_ms) for at in usage.calls_ms),
        failures_ms=tuple(min(at, now_ms) for at in usage.failures_ms),
    )


def may_call(usage: GateUsage, now_ms: int, settings: GateSettings) -> bool:
    """Whether another call fits the hour's and the day's budget."""
    last_hour = sum(1 for at in usage.calls_ms if now_ms - at < HOUR_MS)
    last_day = sum(1 for at in usage.calls_ms if now_ms - at < DAY_MS)
    return last_hour < settings.max_calls_per_hour and last_day < settings.max_calls_per_day


def called(usage: GateUsage, now_ms: int) -> GateUsage:
    """Add one call; calls older than a day are forgotten."""
    kept = tuple(at for at in usage.calls_ms if now_ms - at < DAY_MS)
    return replace(usage, calls_ms=(*kept, now_ms))


def failed(usage: GateUsage, now_ms: int) -> GateUsage:
    """Add one failure; failures older than the window are forgotten."""
    kept = tuple(at for at in usage.failures_ms if now_ms - at < FAILURE_WINDOW_MS)
    return replace(usage, failures_ms=(*kept, now_ms))


def failure_level(usage: GateUsage, settings: GateSettings) -> SignalLevel | None:
    """What the failures demand of the governor: nothing unless the gate is mandatory."""
    if settings.ai_dec < _MANDATORY:
        return None
    if len(usage.failures_ms) >= settings.pause_after_failures:
        return SignalLevel.PAUSE
    return SignalLevel.DEGRADE
