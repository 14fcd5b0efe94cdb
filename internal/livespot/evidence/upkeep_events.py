"""Compares anchors and packed days with the audit events that were written with them."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.chain import Link
from livespot.contracts.records import ChainAnchor
from livespot.store.anchors import AnchorPages, TrailDay
from livespot.store.reader import Reader

_EVENT = "DAILY_SUMMARY"
_ANCHOR = "anchor"
_PACKED = ("day", "sha256", "lines", "packed_at_ms")
_REMOVED = ("day", "removed_at_ms")
_BUCKETS = 256
# About as many as an anchor has rows, so that the buckets fill evenly.
_PIECE = 100
_PAGE = 500
# NOT INDEXED: an index holds a copy of the type, and a damaged copy may differ from the row.
_SAID = f"""
SELECT id, data FROM audit_events NOT INDEXED WHERE event_type = '{_EVENT}' AND id > ?
ORDER BY id LIMIT {_PAGE}
"""  # noqa: S608  literals of this module
_ENCODER = msgspec.json.Encoder(order="sorted")


class Said(NamedTuple):
    """What an event of the upkeep states; the chain covers the statement."""

    what: str
    data: dict[str, Any]

    @property
    def of_an_anchor(self) -> bool:
        return self.what == _ANCHOR


def upkeep_said(link: Link) -> Iterator[Said]:
    """Yield the statement of an event, if it is one of the upkeep."""
    if link.envelope["event_type"] == _EVENT:
        yield from _said(link.envelope["data"])


def _said(text: str | bytes | msgspec.Raw) -> Iterator[Said]:
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Only its hash is left, which cannot vouch for anything.
        return
    if isinstance(data, dict) and "upkeep" in data:
        yield Said(str(data.pop("upkeep")), data)


class SignedOff:
    """Checks, in little memory, that an event states each anchor and each stated anchor exists.

    The number of anchors grows without bound. So they are compared by sums of digests, and read
    again one by one only where the sums differ.
    """

    def __init__(self) -> None:
        self._sums = [0] * _BUCKETS

    def anchor(self, anchor: ChainAnchor) -> None:
        row = _plain(anchor)
        self._sums[_bucket(row)] += _digest(row)

    def stated(self, data: Mapping[str, Any]) -> None:
        self._sums[_bucket(data)] -= _digest(data)

    async def problems(self, reader: Reader, *, most: int) -> list[str]:
        """Return the first anchors that no event states, and stated ones that do not exist.

        Raises `StoreBusy`, `AuditUnwritable` or `PayloadInvalid`.
        """
        found: list[str] = []
        for bucket, left in enumerate(self._sums):
            if left and len(found) < most:
                found += await _differences(reader, bucket) or [
                    "an anchor of a pruned event is stated more than once"
                ]
        return found[:most]


async def _differences(reader: Reader, bucket: int) -> list[str]:
    rows = {
        anchor.first_row: _plain(anchor)
        async for anchor in AnchorPages(reader).rest()
        if _bucket(_plain(anchor)) == bucket
    }
    stated = {
        said.data.get("first_row"): said.data
        async for said in _all_said(reader)
        if said.of_an_anchor and _bucket(said.data) == bucket
    }
    return [
        *(
            f"{_segment(row)} is pruned, and no event says so"
            for first_row, row in rows.items()
            if stated.get(first_row) != row
        ),
        *(
            f"{_segment(data)} is pruned, and its anchor is gone"
            for place, data in stated.items()
            if place not in rows
        ),
    ]


async def _all_said(reader: Reader) -> AsyncIterator[Said]:
    after = 0
    while page := await reader.rows(_SAID, (after,)):
        for row, text in page:
            if row <= after:
                return
            after = row
            for said in _said(text):
                yield said


def days_unsigned(days: Iterable[TrailDay], said: Sequence[Said]) -> Iterator[str]:
    """Yield packed days that no event states, and stated ones that do not exist."""
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


def _bucket(row: Mapping[str, Any]) -> int:
    first_row = row.get("first_row")
    return first_row // _PIECE % _BUCKETS if isinstance(first_row, int) else 0


def _digest(row: Mapping[str, Any]) -> int:
    return int(sha256_hex(_ENCODER.encode(row)), 16)


def _texts(data: dict[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(str(data.get(name)) for name in names)


def _segment(anchor: dict[str, Any]) -> str:
    run, first, last = (anchor.get(name) for name in ("run_id", "first_seq", "last_seq"))
    return f"event {first} to event {last} of {run}"
