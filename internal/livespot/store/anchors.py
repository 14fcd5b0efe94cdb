"""Reads back what stands in for pruned segments, and which days of the trail were packed."""

from typing import Any, TypeVar

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.records import ChainAnchor
from livespot.store.reader import Reader
from livespot.store.upkeep_statements import ANCHOR_COLUMNS

_ANCHORS = f"SELECT {', '.join(ANCHOR_COLUMNS)} FROM chain_anchors ORDER BY first_row"  # noqa: S608


_Row = TypeVar("_Row", bound=Message)


class TrailDay(Message, frozen=True):
    """A packed day of the trail; `removed_at_ms` is 0 while its file is kept."""

    day: str
    sha256: str
    lines: int
    packed_at_ms: int
    removed_at_ms: int


_DAY_FIELDS = tuple(field.name for field in msgspec.structs.fields(TrailDay))
# From the rows themselves: an index holds a second copy of the day, which may be another.
_DAYS = f"SELECT {', '.join(_DAY_FIELDS)} FROM trail_days NOT INDEXED ORDER BY day"  # noqa: S608


async def chain_anchors(reader: Reader) -> tuple[ChainAnchor, ...]:
    """In the order of the chain. Raises `StoreBusy`, `AuditUnwritable` or `PayloadInvalid`."""
    return tuple(
        _made({"type": "ChainAnchor", **dict(zip(ANCHOR_COLUMNS, row, strict=True))}, ChainAnchor)
        for row in await reader.rows(_ANCHORS)
    )


async def trail_days(reader: Reader) -> tuple[TrailDay, ...]:
    """Every day that was ever packed, the oldest first.

    Raises `StoreBusy`, `AuditUnwritable` or `PayloadInvalid`.
    """
    return tuple(
        _made(dict(zip(_DAY_FIELDS, row, strict=True)), TrailDay)
        for row in await reader.rows(_DAYS)
    )


def _made(row: dict[str, Any], kind: type[_Row]) -> _Row:
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        raise PayloadInvalid(f"a row of the upkeep holds what no writer wrote: {error}") from error
