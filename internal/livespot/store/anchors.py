"""Reads back what stands in for pruned segments, and which days of the trail were packed."""

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.records import ChainAnchor
from livespot.store.reader import Reader
from livespot.store.upkeep_statements import ANCHOR_COLUMNS

_ANCHORS = f"SELECT {', '.join(ANCHOR_COLUMNS)} FROM chain_anchors ORDER BY first_row"  # noqa: S608


class TrailDay(Message, frozen=True):
    """A packed day of the trail; `removed_at_ms` is 0 while its file is kept."""

    day: str
    sha256: str
    lines: int
    packed_at_ms: int
    removed_at_ms: int


_DAY_FIELDS = tuple(field.name for field in msgspec.structs.fields(TrailDay))
_DAYS = f"SELECT {', '.join(_DAY_FIELDS)} FROM trail_days ORDER BY day"  # noqa: S608


async def chain_anchors(reader: Reader) -> tuple[ChainAnchor, ...]:
    """In the order of the chain. Raises `StoreBusy` or `AuditUnwritable`."""
    return tuple(
        ChainAnchor(**dict(zip(ANCHOR_COLUMNS, row, strict=True)))
        for row in await reader.rows(_ANCHORS)
    )


async def trail_days(reader: Reader) -> tuple[TrailDay, ...]:
    """Every day that was ever packed, the oldest first. Raises `StoreBusy`, `AuditUnwritable`."""
    return tuple(
        TrailDay(**dict(zip(_DAY_FIELDS, row, strict=True))) for row in await reader.rows(_DAYS)
    )
