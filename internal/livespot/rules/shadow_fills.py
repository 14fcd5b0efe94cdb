"""What would have become of an entry that was not sent: a model of fills, never a fill.

The model is pessimistic where it cannot know. A resting order is filled only by a trade through its
price, never by one at it, because its place in the queue is unknown. Trades of one instant have no
order among each other: a stop among them counts before a target, and in the instant of the entry
only the stop counts. A stop sells at the lowest price of its instant or its own, whichever is
lower, less the configured slippage. Entries are not repriced and have no fallback.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

MODEL = "trade-through-1"
_BPS = Decimal(10_000)


class ShadowPhase(StrEnum):
    """The phase of an entry that was never sent."""

    WAITING = "WAITING"
    HELD = "HELD"
    NOT_FILLED = "NOT_FILLED"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"
    OPEN_AT_END = "OPEN_AT_END"
    UNKNOWN = "UNKNOWN"


OVER = frozenset(ShadowPhase) - {ShadowPhase.WAITING, ShadowPhase.HELD}
_SOLD = frozenset({ShadowPhase.TAKE_PROFIT, ShadowPhase.STOP_LOSS})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTerms:
    """What would have been sent, and the costs in the model. `rests` is false for a taking entry.

    `patience_ms` is how long the entry would have rested; fees and slippage are in basis points.
    """

    limit_price: Decimal
    qty: Decimal
    tp_price: Decimal
    sl_price: Decimal
    placed_ms: int
    patience_ms: int
    maker_bps: int
    taker_bps: int
    slippage_bps: int
    rests: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCourse:
    """How far the entry has come; times are the exchange's, 0 until they occur."""

    phase: ShadowPhase = ShadowPhase.WAITING
    entered_ms: int = 0
    ended_ms: int = 0
    exit_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowResult:
    """Money in quote; None when the model sold nothing and so knows nothing."""

    fees_quote: Decimal | None
    net_quote: Decimal | None


def instant(
    course: ShadowCourse, terms: ShadowTerms, prices: Sequence[Decimal], at_ms: int
) -> ShadowCourse:
    """The course after all trades of one instant; `prices` is not empty."""
    if course.phase in OVER or at_ms <= terms.placed_ms:
        return course
    low, high = min(prices), max(prices)
    if course.phase is ShadowPhase.WAITING:
        late = expired(course, terms, at_ms)
        if late.phase in OVER or not _enters(terms, low):
            return late
        entered = replace(course, phase=ShadowPhase.HELD, entered_ms=at_ms)
        return _stopped(entered, terms, low, at_ms) if low <= terms.sl_price else entered
    if low <= terms.sl_price:
        return _stopped(course, terms, low, at_ms)
    if high > terms.tp_price:
        return replace(
            course, phase=ShadowPhase.TAKE_PROFIT, ended_ms=at_ms, exit_price=terms.tp_price
        )
    return course


def expired(course: ShadowCourse, terms: ShadowTerms, now_ms: int) -> ShadowCourse:
    """Not filled, if the entry has rested for its whole patience."""
    if course.phase is not ShadowPhase.WAITING or now_ms - terms.placed_ms <= terms.patience_ms:
        return course
    ended_ms = terms.placed_ms + terms.patience_ms
    return replace(course, phase=ShadowPhase.NOT_FILLED, ended_ms=ended_ms)


def broken_off(course: ShadowCourse, phase: ShadowPhase, at_ms: int) -> ShadowCourse:
    """The model cannot go on: `OPEN_AT_END` at the end of a run, `UNKNOWN` after lost trades."""
    return course if course.phase in OVER else replace(course, phase=phase, ended_ms=at_ms)


def result_of(course: ShadowCourse, terms: ShadowTerms) -> ShadowResult:
    """The result of a course that is over."""
    if course.phase is ShadowPhase.NOT_FILLED:
        return ShadowResult(fees_quote=Decimal(0), net_quote=Decimal(0))
    if course.phase not in _SOLD or course.exit_price is None:
        return ShadowResult(fees_quote=None, net_quote=None)
    paid, got = terms.limit_price * terms.qty, course.exit_price * terms.qty
    entry_bps = terms.maker_bps if terms.rests else terms.taker_bps
    by_target = course.phase is ShadowPhase.TAKE_PROFIT
    exit_bps = terms.maker_bps if by_target else terms.taker_bps
    fees = (paid * entry_bps + got * exit_bps) / _BPS
    return ShadowResult(fees_quote=fees, net_quote=got - paid - fees)


def _enters(terms: ShadowTerms, low: Decimal) -> bool:
    """Whether the entry fills; a taking entry pays its limit on any trade at or below it."""
    return low < terms.limit_price if terms.rests else low <= terms.limit_price


def _stopped(course: ShadowCourse, terms: ShadowTerms, low: Decimal, at_ms: int) -> ShadowCourse:
    price = min(low, terms.sl_price) * (_BPS - terms.slippage_bps) / _BPS
    return replace(course, phase=ShadowPhase.STOP_LOSS, ended_ms=at_ms, exit_price=price)
