"""Reserves of quote: one per entry, from RESERVED to its end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from livespot.contracts.amounts import ZERO
from livespot.contracts.records import ReserveRow


class ReserveState(StrEnum):
    RESERVED = "RESERVED"
    BOUND = "BOUND"
    CONVERTED = "CONVERTED"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Quote that an entry may still spend; `converted_quote` has been filled already.

    `entry_over`: the entry has ended, and only fills still on their way keep the reserve open.
    """

    decision_id: str
    symbol: str
    state: ReserveState
    amount_quote: Decimal
    order_intent_id: str
    expires_at_ms: int
    converted_quote: Decimal = ZERO
    entry_over: bool = False

    def row(self, now_ms: int) -> ReserveRow:
        """The row to store."""
        return ReserveRow(
            decision_id=self.decision_id,
            symbol=self.symbol,
            state=self.state.value,
            amount_quote=self.amount_quote,
            order_intent_id=self.order_intent_id,
            expires_at_ms=self.expires_at_ms,
            updated_at_ms=now_ms,
        )


Book = Mapping[str, Reserve]


def rebuilt(rows: Iterable[ReserveRow]) -> dict[str, Reserve]:
    """The open reserves that a previous run left."""
    return {
        row.decision_id: Reserve(
            decision_id=row.decision_id,
            symbol=row.symbol,
            state=ReserveState(row.state),
            amount_quote=row.amount_quote,
            order_intent_id=row.order_intent_id,
            expires_at_ms=row.expires_at_ms,
        )
        for row in rows
        if row.state in (ReserveState.RESERVED, ReserveState.BOUND)
    }


def held_quote(book: Book, *, symbol: str | None = None) -> Decimal:
    """The sum of all reserves, or of one symbol's."""
    if not book:
        return ZERO
    return sum(
        (r.amount_quote for r in book.values() if symbol is None or r.symbol == symbol), ZERO
    )


def of_symbol(book: Book, symbol: str) -> Reserve | None:
    """The symbol's open reserve; at most one exists, since a second entry is never allowed."""
    return next((reserve for reserve in book.values() if reserve.symbol == symbol), None)


def reserved(
    decision_id: str, symbol: str, amount_quote: Decimal, *, expires_at_ms: int
) -> Reserve:
    """A new reserve; it lapses unless an intent binds it in time."""
    return Reserve(
        decision_id=decision_id,
        symbol=symbol,
        state=ReserveState.RESERVED,
        amount_quote=amount_quote,
        order_intent_id="",
        expires_at_ms=expires_at_ms,
    )


def bound(reserve: Reserve, order_intent_id: str) -> Reserve:
    """An intent is durable: from now on only the entry's end releases the reserve."""
    return replace(reserve, state=ReserveState.BOUND, order_intent_id=order_intent_id)


def resized(reserve: Reserve, amount_quote: Decimal) -> Reserve:
    """A later attempt at another price needs this amount."""
    return replace(reserve, amount_quote=amount_quote)


def converted(reserve: Reserve, quote: Decimal) -> Reserve:
    """A fill spent this much; the reserve never goes below zero.

    A fill also binds the reserve: it proves that an order is out, whatever was reported before.
    """
    spent = replace(
        reserve,
        state=ReserveState.BOUND,
        amount_quote=max(ZERO, reserve.amount_quote - quote),
        converted_quote=reserve.converted_quote + quote,
    )
    if spent.entry_over and _is_rounding(spent.amount_quote, spent.converted_quote):
        return ended(spent)
    return spent


def counted_again(reserve: Reserve, quote: Decimal) -> Reserve:
    """A fill that an earlier life has converted; the stored amount is already without it."""
    return replace(reserve, converted_quote=reserve.converted_quote + quote)


def entry_over(reserve: Reserve, filled_quote: Decimal) -> Reserve:
    """The entry ended having bought for `filled_quote`.

    What its fills have not shown yet stays reserved until they arrive, so it is never free in
    between.
    """
    missing = filled_quote - reserve.converted_quote
    if _is_rounding(missing, filled_quote):
        return ended(reserve)
    return replace(reserve, state=ReserveState.BOUND, amount_quote=missing, entry_over=True)


def ended(reserve: Reserve) -> Reserve:
    """The reserve is closed: CONVERTED if anything filled, else RELEASED; nothing stays held."""
    state = ReserveState.CONVERTED if reserve.converted_quote else ReserveState.RELEASED
    return replace(reserve, state=state, amount_quote=ZERO)


def lapsed(book: Book, now_ms: int) -> tuple[Reserve, ...]:
    """Unbound reserves whose time is over; at `expires_at_ms` itself one still holds."""
    return tuple(
        reserve
        for reserve in book.values()
        if reserve.state is ReserveState.RESERVED and reserve.expires_at_ms < now_ms
    )


def with_reserve(book: Book, reserve: Reserve) -> dict[str, Reserve]:
    """The book after a change; closed reserves are removed."""
    rest = {key: value for key, value in book.items() if key != reserve.decision_id}
    if reserve.state in (ReserveState.RESERVED, ReserveState.BOUND):
        rest[reserve.decision_id] = reserve
    return rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Cash:
    """Free quote as last read, and fills newer than that reading.

    `spends` are (quote, exchange_time_ms). Before the first reading nothing is free.
    """

    free: Decimal = ZERO
    seen_at_ms: int = 0
    spends: tuple[tuple[Decimal, int], ...] = field(default=())

    @property
    def spendable(self) -> Decimal:
        """Free quote less what newer fills took; reserves are not deducted here."""
        return self.free - sum((quote for quote, _ in self.spends), ZERO)


def cash_seen(cash: Cash, free: Decimal, at_ms: int) -> Cash:
    """A reading of the account. One older than the last is ignored, since reads may lag."""
    if at_ms < cash.seen_at_ms:
        return cash
    return Cash(
        free=free,
        seen_at_ms=at_ms,
        spends=tuple((quote, when) for quote, when in cash.spends if when > at_ms),
    )


def cash_spent(cash: Cash, quote: Decimal, at_ms: int) -> Cash:
    """A buy filled; it is deducted until a reading at least as new as the fill."""
    if at_ms <= cash.seen_at_ms:
        return cash
    return replace(cash, spends=(*cash.spends, (quote, at_ms)))


def _is_rounding(part: Decimal, whole: Decimal) -> bool:
    """Whether `part` is at most a thousandth: the exchange truncates its totals."""
    return part * 1000 <= whole
