"""Holds anchors and packed days against the audit events that were written with them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from livespot.contracts.chain import Link
from livespot.contracts.records import ChainAnchor
from livespot.store.anchors import TrailDay

_EVENT = "DAILY_SUMMARY"


class Said(NamedTuple):
    """What an event of the upkeep states; the chain covers it."""

    what: str
    data: dict[str, Any]


def upkeep_said(link: Link) -> Iterator[Said]:
    """The statement of an event, when it is one of the upkeep."""
    if link.envelope["event_type"] != _EVENT:
        return
    data = msgspec.json.decode(link.envelope["data"])
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
    packed = {_day(data) for what, data in said if what == "packed"}
    removed = {str(data.get("day")) for what, data in said if what == "removed"}
    found = {(day.day, day.sha256, str(day.lines)) for day in known}
    for name in sorted({day for day, *_ in found ^ packed}):
        yield f"the packed day {name} is not what its event says"
    for name in sorted(removed ^ {day.day for day in known if day.removed_at_ms}):
        yield f"the removed day {name} is not what its event says"


def _plain(anchor: ChainAnchor) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(anchor)
    del row["type"]
    return row


def _day(data: dict[str, Any]) -> tuple[str, str, str]:
    return str(data.get("day")), str(data.get("sha256")), str(data.get("lines"))


def _segment(anchor: dict[str, Any]) -> str:
    run, first, last = (anchor.get(name) for name in ("run_id", "first_seq", "last_seq"))
    return f"event {first} to event {last} of {run}"
