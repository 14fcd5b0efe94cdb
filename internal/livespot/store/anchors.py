"""Reads the anchors that replace pruned segments of the chain, and the packed days of the trail."""

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.records import ChainAnchor
from livespot.store.reader import Reader, Row
from livespot.store.upkeep_statements import ANCHOR_COLUMNS

_PAGE = 500
_ANCHORS = (
    f"SELECT {', '.join(ANCHOR_COLUMNS)} FROM chain_anchors "  # noqa: S608
    f"WHERE first_row > ? ORDER BY first_row LIMIT {_PAGE}"
)

_Row = TypeVar("_Row", bound=Message)


class TrailDay(Message, frozen=True):
    """A packed day of the trail; `removed_at_ms` is 0 while its file is kept."""

    day: str
    sha256: str
    lines: int
    packed_at_ms: int
    removed_at_ms: int


_DAY_FIELDS = tuple(field.name for field in msgspec.structs.fields(TrailDay))
# NOT INDEXED: an index holds a copy of the day, and a damaged copy may differ from the row.
_DAYS = f"SELECT {', '.join(_DAY_FIELDS)} FROM trail_days NOT INDEXED ORDER BY day"  # noqa: S608


class AnchorPages:
    """Yields the anchors once, in the order of the chain, holding one page of them at a time.

    Reading raises `StoreBusy`, `AuditUnwritable` or `PayloadInvalid`; after that nothing more
    comes.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._page = deque[ChainAnchor]()
        self._after = 0
        self._more = True

    async def before(self, row: int) -> list[ChainAnchor]:
        """Return the remaining anchors of segments that begin before this row of the events."""
        found = []
        while (anchor := await self._next()) is not None and anchor.first_row < row:
            found.append(self._page.popleft())
        return found

    async def rest(self) -> AsyncIterator[ChainAnchor]:
        """Yield all anchors that were not returned yet."""
        while (anchor := await self._next()) is not None:
            yield anchor
            self._page.popleft()

    async def _next(self) -> ChainAnchor | None:
        if not self._page and self._more:
            self._more = False
            found = [_anchor(row) for row in await self._reader.rows(_ANCHORS, (self._after,))]
            for anchor in found:
                # Following a damaged tree may lead in a circle.
                if anchor.first_row <= self._after:
                    raise PayloadInvalid(f"anchor {anchor.first_row} comes after {self._after}")
                self._after = anchor.first_row
            self._page.extend(found)
            self._more = len(found) == _PAGE
        return self._page[0] if self._page else None


def _anchor(row: Row) -> ChainAnchor:
    fields = dict(zip(ANCHOR_COLUMNS, row, strict=True))
    return _made({"type": "ChainAnchor", **fields}, ChainAnchor)


async def trail_days(reader: Reader) -> tuple[TrailDay, ...]:
    """Return every day that was ever packed, oldest first.

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
