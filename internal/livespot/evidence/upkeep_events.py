"""Holds anchors and packed days against the audit events that were written with them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from livespot.contracts.chain import Link
from livespot.contracts.records import ChainAnchor
from livespot.store.anchors import TrailDay

_EVENT = "DAILY_SUMMARY"
_PACKED = ("day", "sha256", "lines", "packed_at_ms")
_REMOVED = ("day", "removed_at_ms")


class Said(NamedTuple):
    """What an event of the upkeep states; the chain covers it."""

    what: str
    data: dict[str, Any]


def upkeep_said(link: Link) -> Iterator[Said]:
    """The statement of an event, when it is one of the upkeep."""
    if link.envelope["event_type"] != _EVENT:
        return
    try:
        data = msgspec.json.decode(link.envelope["data"])
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Its hash names it; what it once said is no longer there to vouch for anything.
        return
    if isinstance(data, dict) and "upkeep" in data:
        yield Said(str(data.pop("upkeep")), data)


def unsigned(
    anchors: Iterable[ChainAnchor], days: Iterable[TrailDay], said: Sequence[Said]
) -> Iterator[str]:
    """Anchors and days that no event of the chain vouches for, and stated ones that are gone."""
    rows = {anchor.first_row: _plain(anchor) for anchor in anchors}
    stated = {data.get("first_row"): data for what, data in said if what == "anchor"}
    for first_row, row in rows.items():
        if stated.get(first_row) != row:
            yield f"{_segment(row)} is pruned, and no event says so"
    for place, data in stated.items():
        if place not in rows:
            yield f"{_segment(data)} is pruned, and its anchor is gone"
    known = [*days]
    packed = {_texts(data, *_PACKED) for what, data in said if what == "packed"}
    removed = {_texts(data, *_REMOVED) for what, data in said if what == "removed"}
    found = {tuple(str(getattr(day, name)) for name in _PACKED) for day in known}
    gone = {(day.day, str(day.removed_at_ms)) for day in known if day.removed_at_ms}
    for name in sorted({day for day, *_ in (found ^ packed) | (gone ^ removed)}):
        yield f"the packed day {name} is not what its events say"


def _plain(anchor: ChainAnchor) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(anchor)
    del row["type"]
    return row


def _texts(data: dict[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(str(data.get(name)) for name in names)


def _segment(anchor: dict[str, Any]) -> str:
    run, first, last = (anchor.get(name) for name in ("run_id", "first_seq", "last_seq"))
    return f"event {first} to event {last} of {run}"
