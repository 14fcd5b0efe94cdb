"""A run's summary as it is kept: what is unknown is null, with its reason beside it."""

from typing import Any

import msgspec

from livespot.evidence.summary import RunSummary

# In memory a number stands for unknown; by the name of the field: that number, and why.
_UNKNOWN: dict[str, tuple[int, str]] = {
    "ended_at_ms": (0, "the run has not ended"),
    "exit_code": (-1, "a killed process leaves no exit code"),
    "exchange": (-1, "there was no exchange journal to count in"),
    "after_ms": (-1, "the intent is not resolved"),
    "protected_after_ms": (-1, "the protection was never seen"),
    "reconciled_at_ms": (0, "no clean reconcile followed"),
    "hit_rate_x10000": (-1, "too few trades to call anything measured"),
    "low_x10000": (-1, "too few trades to call anything measured"),
    "high_x10000": (-1, "too few trades to call anything measured"),
}


def plain(summary: RunSummary) -> dict[str, Any]:
    """JSON-like data; an object with a null in it has `unknown`, reasons by field."""
    found = _opened(msgspec.to_builtins(summary))
    assert isinstance(found, dict)  # noqa: S101  a Struct becomes a dict
    return found


def _opened(value: Any) -> Any:
    match value:
        case dict():
            return _object(value)
        case list() | tuple():
            return [_opened(item) for item in value]
        case _:
            return value


def _object(found: dict[str, Any]) -> dict[str, Any]:
    known, unknown = {}, {}
    for name, value in found.items():
        sentinel, why = _UNKNOWN.get(name, (None, ""))
        is_unknown = sentinel is not None and value == sentinel
        known[name] = None if is_unknown else _opened(value)
        if is_unknown:
            unknown[name] = why
    return known | {"unknown": unknown} if unknown else known
