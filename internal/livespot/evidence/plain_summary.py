"""A run's summary as it is stored: unknown figures are null, with the reason beside them."""

from typing import Any

import msgspec

from livespot.evidence.summary import RunSummary

# By field name: the number that stands for unknown in memory, and the reason.
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
# By the field that says so: the counts that are unknown once old records were pruned.
_PRUNED = {"cycles": ("cycles",), "blocked": ("blocked", "strategy_reasons")}


def plain(summary: RunSummary) -> dict[str, Any]:
    """Return JSON-like data; an object with a null has `unknown`, with a reason per field."""
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
    unknown = {name: why for name in found if (why := _why_unknown(name, found))}
    known = {name: None if name in unknown else _opened(value) for name, value in found.items()}
    return known | {"unknown": unknown} if unknown else known


def _why_unknown(name: str, found: dict[str, Any]) -> str:
    """Return why a field of an object is unknown; empty when it is known."""
    sentinel, why = _UNKNOWN.get(name, (None, ""))
    if sentinel is not None and found[name] == sentinel:
        return why
    gone = any(found.get(by) == -1 and name in names for by, names in _PRUNED.items())
    return str(found["pruned"]) if gone else ""
