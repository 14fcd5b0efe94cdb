"""Times in the unit a caller asked for: milliseconds, or microseconds on request."""

from typing import Any

from livespot.exchange.model import Json, Rejection

_TIMES = frozenset(
    {
        "serverTime",
        "time",
        "updateTime",
        "transactTime",
        "transactionTime",
        "workingTime",
        "trailingTime",
        "openTime",
        "closeTime",
        "timestamp",
        "authorizedSince",
        "connectedSince",
        "T",
    }
)
# In private events one letter may be a time in one kind and a name in another.
_EVENT_TIMES = {
    "executionReport": ("E", "T", "O", "W", "D"),
    "outboundAccountPosition": ("E", "u"),
}
_USUAL_EVENT_TIMES = ("E", "T")
# The first number that can only be microseconds; in milliseconds it lies in the year 33658.
MICROSECONDS_FROM = 10**15


def wants_microseconds(unit: str | None) -> bool:
    """What a caller's time unit means; -1194 for a word that is none."""
    chosen = (unit or "MILLISECOND").upper()
    if chosen not in ("MICROSECOND", "MILLISECOND"):
        raise Rejection(
            -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
        )
    return chosen == "MICROSECOND"


def as_milliseconds(time: int) -> int:
    """A caller's time, which may be in either unit."""
    return time // 1000 if time >= MICROSECONDS_FROM else time


def in_microseconds(body: Any) -> Any:
    """A reply with every time of it in microseconds; -1 (no time) stays."""
    if isinstance(body, list):
        return [in_microseconds(one) for one in body]
    if not isinstance(body, dict):
        return body
    return {
        name: _scaled(value) if name in _TIMES else in_microseconds(value)
        for name, value in body.items()
    }


def event_in_microseconds(event: Json) -> Json:
    """A private event with its times in microseconds."""
    times = _EVENT_TIMES.get(event["e"], _USUAL_EVENT_TIMES)
    return {name: _scaled(value) if name in times else value for name, value in event.items()}


def _scaled(value: Any) -> Any:
    return value * 1000 if isinstance(value, int) and value >= 0 else value
