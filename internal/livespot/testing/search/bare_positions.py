"""How long each position of a run stood without a stop, by the exchange's journal."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from livespot.contracts.errors import ExitCode
from livespot.exchange.journal import FillRow, OrderRow
from livespot.rules.survival import rank
from livespot.testing.search.house_checks import said_it_cannot_write
from livespot.testing.search.protection_checks import STILL, T_PROTECT_MS, Gap, gaps, growing
from livespot.testing.search.witness import Witness

# From a deadline to the durable change of mode, and from there to the alert.
_SLACK_MS = 1000
_ZERO = Decimal(0)
_NEVER = 2**62


class Bare(msgspec.Struct, frozen=True, kw_only=True):
    """One position. `bare_ms` sums its spans without a stop; `longest_ms` is the longest of them.

    It is `complete` when one fill opened it and its entry order had no other. It is `said` when
    PAUSE and a CRIT alert came in time for each span beyond five seconds. `lived` is false when a
    process died within such a span. `unwritable` holds when during each such span nothing could be
    written, every process said so and ended, and the first process that could write protected it in
    time.

    Apart from these, `growing_ms` is how long its entry was still working and had bought only an
    amount for which no stop would be accepted; it is `tiny` when it never reached the smallest
    order.
    """

    seed: int
    symbol: str
    begin_ms: int
    complete: bool
    bare_ms: int
    longest_ms: int
    said: bool
    lived: bool
    unwritable: bool = False
    growing_ms: int = 0
    tiny: bool = False

    @property
    def is_late(self) -> bool:
        """Whether it stood without a stop beyond the limit, and nobody was told to look."""
        return self.longest_ms > T_PROTECT_MS and not (self.said or self.unwritable)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """From a position's first fill to its last; the end may be open."""

    symbol: str
    begin_ms: int
    end_ms: int
    complete: bool
    tiny: bool


@dataclass(slots=True)
class _Book:
    held: Decimal = _ZERO
    begin_ms: int = 0
    complete: bool = False
    entry: int = 0
    most: Decimal = _ZERO

    def ended(self, symbol: str, end_ms: int, least: Decimal) -> _Span:
        return _Span(
            symbol=symbol,
            begin_ms=self.begin_ms,
            end_ms=end_ms,
            complete=self.complete,
            tiny=self.most < least,
        )


def positions_of(witness: Witness) -> Iterator[Bare]:
    """Yield every position of the run that orders of ours opened."""
    found, growths = list(gaps(witness)), list(growing(witness))
    for span in _spans(witness):
        # A gap begins with a fill and ends with a stop or a sale, so it lies within its position.
        own = [
            gap
            for gap in found
            if gap.symbol == span.symbol and span.begin_ms <= gap.begin_ms < span.end_ms
        ]
        long = [gap for gap in own if gap.end_ms - gap.begin_ms > T_PROTECT_MS]
        yield Bare(
            seed=witness.plan.seed,
            symbol=span.symbol,
            begin_ms=span.begin_ms,
            complete=span.complete,
            bare_ms=sum(gap.end_ms - gap.begin_ms for gap in own),
            longest_ms=max((gap.end_ms - gap.begin_ms for gap in own), default=0),
            said=all(_said(witness, gap) for gap in long),
            lived=all(_lived(witness, gap) for gap in long),
            unwritable=bool(long) and all(_unwritable(witness, gap) for gap in long),
            growing_ms=sum(_within(span, gap) for gap in growths if gap.symbol == span.symbol),
            tiny=span.tiny,
        )


def _within(span: _Span, gap: Gap) -> int:
    return max(0, min(span.end_ms, gap.end_ms) - max(span.begin_ms, gap.begin_ms))


def _spans(witness: Witness) -> Iterator[_Span]:
    """Each position's span, in market time."""
    own = {alias.client_order_id for alias in witness.facts.aliases}
    ordered = {row.oid: row.qty for row in witness.rows if isinstance(row, OrderRow)}
    books: dict[str, _Book] = defaultdict(_Book)
    for place, row in enumerate(witness.rows, 1):
        if not isinstance(row, FillRow) or row.cid not in own:
            continue
        at_ms, book = witness.at(place, row.t_ms), books[row.sym]
        least = witness.least_order(row.sym)
        if row.side == "BUY":
            if book.held and book.most < least and row.oid != book.entry:
                # Dust of an abandoned entry does not belong to the next position.
                yield book.ended(row.sym, at_ms, least)
                book = books[row.sym] = _Book()
            if not book.held:
                book.begin_ms, book.complete = at_ms, row.qty == ordered[row.oid]
                book.entry = row.oid
            book.held += row.qty
            book.most = max(book.most, book.held * row.px)
        else:
            book.held -= row.qty
            # What a sale leaves is what its lot size could not hold.
            if book.held * row.px < least and book.begin_ms:
                yield book.ended(row.sym, at_ms + 1, least)
                books[row.sym] = _Book()
    for symbol, book in books.items():
        if book.begin_ms:
            yield book.ended(symbol, _NEVER, witness.least_order(symbol))


def _said(witness: Witness, gap: Gap) -> bool:
    due_ms = gap.begin_ms + T_PROTECT_MS + _SLACK_MS
    return witness.mode_at(due_ms) in STILL and any(
        alert.severity == "CRIT" and gap.begin_ms <= alert.at_ms <= due_ms + _SLACK_MS
        for alert in witness.facts.alerts
    )


def _lived(witness: Witness, gap: Gap) -> bool:
    """Whether one process lived from the gap's beginning until it ended or was due."""
    due_ms = min(gap.end_ms, gap.begin_ms + T_PROTECT_MS)
    return any(life.born_ms <= gap.begin_ms and life.over_ms >= due_ms for life in witness.lives)


def _unwritable(witness: Witness, gap: Gap) -> bool:
    """Whether no process could write during the span, until the one that protected it soon after.

    An order needs an intent on record first, so nothing may be sent while nothing can be written.
    """
    met = [
        life for life in witness.lives if life.born_ms <= gap.end_ms and life.over_ms > gap.begin_ms
    ]
    mute = [life for life in met if life.code is ExitCode.AUDIT_UNWRITABLE]
    able = [life for life in met if life.code is not ExitCode.AUDIT_UNWRITABLE]
    if not mute or mute[0].over_ms > gap.begin_ms + T_PROTECT_MS:
        return False
    if met[: len(mute)] != mute or not all(said_it_cannot_write(witness, life) for life in mute):
        return False
    return bool(able) and gap.end_ms <= able[0].born_ms + T_PROTECT_MS


def percentile(values: list[int], percent: int) -> int:
    """Return the nearest rank; 0 without values."""
    return rank(values, percent) or 0
