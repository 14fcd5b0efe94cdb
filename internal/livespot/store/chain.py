"""Reads stored events back as links, and proves that none was removed or edited."""

from collections.abc import AsyncIterator

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.chain import ChainBreak, Link, bridged, problem_with
from livespot.contracts.errors import AuditUnwritable, PayloadInvalid
from livespot.store.anchors import AnchorPages
from livespot.store.reader import Reader, Row
from livespot.store.sql import SqlValue

_PAGE = 1000
_COLUMNS = (
    "run_id", "seq", "ts_ms", "cycle_id", "mode", "stage", "event_type", "reasons", "snapshot_id",
    "decision_id", "order_intent_id", "symbol", "exchange_time_ms", "local_received_ms", "data",
    "prev_hash",
)  # fmt: skip
_SELECT = f"SELECT id, hash, {', '.join(_COLUMNS)} FROM audit_events "  # noqa: S608
_AS_JSON = ("reasons", "data")
_INTEGERS = frozenset({"seq", "ts_ms", "exchange_time_ms", "local_received_ms"})


class ChainReport(Message, frozen=True):
    """The number of events read, and the first one that does not fit; None when all of them do."""

    events: int
    last_hash: str
    broken: ChainBreak | None


async def verify_chain(reader: Reader, *, first_prev_hash: str = "") -> ChainReport:
    """Walk every event from the first; stop at one that does not follow from its predecessor.

    A pruned segment is bridged by its anchor.
    """
    anchors = AnchorPages(reader)
    before: Link | None = None
    count = 0
    async for link in links(reader):
        count += 1
        over = await anchors.before(link.row)
        before = bridged(before, link, {anchor.prev_hash: anchor for anchor in over})
        broken = problem_with(link, before, first_prev_hash)
        if broken is not None:
            return ChainReport(events=count, last_hash="", broken=broken)
        before = link
    last_hash = first_prev_hash if before is None else before.hash
    return ChainReport(events=count, last_hash=last_hash, broken=None)


async def links(
    reader: Reader, *, from_ms: int = 0, until_ms: int | None = None
) -> AsyncIterator[Link]:
    """Yield stored events in the order written, optionally those stamped in [from_ms, until_ms).

    Raises `PayloadInvalid` at an event that no writer can have stored and `AuditUnwritable` at one
    that cannot be read, after yielding every event before it.
    """
    after, size = 0, _PAGE
    while True:
        try:
            page = await reader.rows(*_page(after, size, from_ms, until_ms))
        except AuditUnwritable:
            if size == 1:
                raise
            # Read row by row from here, to yield every event before the damaged one.
            size = 1
            continue
        for row in page:
            yield _link(row)
        if len(page) < size:
            return
        after = int(page[-1][0])


def _link(row: Row) -> Link:
    envelope = dict(zip(_COLUMNS, row[2:], strict=True))
    for name, value in (("hash", row[1]), *envelope.items()):
        if type(value) is not (int if name in _INTEGERS else str):
            raise PayloadInvalid(f"row {row[0]} of the events holds {value!r} as its {name}")
    for name in _AS_JSON:
        envelope[name] = msgspec.Raw(envelope[name].encode())
    return Link(envelope=envelope, prev_hash=envelope["prev_hash"], hash=row[1], row=row[0])


def _page(
    after: int, size: int, from_ms: int, until_ms: int | None
) -> tuple[str, tuple[SqlValue, ...]]:
    if until_ms is None:
        return _SELECT + f"WHERE id > ? ORDER BY id LIMIT {size}", (after,)
    where = "WHERE id > ? AND ts_ms >= ? AND ts_ms < ? "
    return _SELECT + where + f"ORDER BY id LIMIT {size}", (after, from_ms, until_ms)
