"""Complete trades: bought, protected on the exchange, sold, reconciled."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

from livespot.contracts.base import Message
from livespot.evidence.journal import OPEN, JournalFill, JournalOrder, JournalRows
from livespot.evidence.rows import Facts, FillFact, PositionFact

_PRICE = Context(prec=16, rounding=ROUND_HALF_EVEN)
_FULL = frozenset({"TP", "SL"})


class RoundTrip(Message, frozen=True):
    """One position that was opened and sold again. Prices are averages over the fills.

    `pnl_quote` is after fees. `protected_after_ms` is the time from the last entry fill before the
    protection stood to the moment it stood; -1 when it was never seen. `protection_source` says who
    saw it: `journal` (the exchange) or `ledger` (only we). `reconciled_at_ms` is the first clean
    reconcile after the last sale with no order of this trade open; 0 when there was none.
    """

    symbol: str
    position_id: str
    decision_id: str
    entry_at_ms: int
    exit_at_ms: int
    entry_price: Decimal
    exit_price: Decimal
    qty: Decimal
    pnl_quote: Decimal
    fees_quote: Decimal
    exit_reason: str
    protected_after_ms: int
    protection_source: str
    reconciled_at_ms: int

    @property
    def protected(self) -> bool:
        return self.protected_after_ms >= 0

    @property
    def reconciled(self) -> bool:
        return self.reconciled_at_ms > 0

    @property
    def complete(self) -> bool:
        """Whether the trade was seen protected and reconciled."""
        return self.protected and self.reconciled


def round_trips(facts: Facts, journal: JournalRows | None) -> tuple[RoundTrip, ...]:
    """Return the trades that ended in the run of `facts`, in the order in which they ended."""
    found = []
    for position in facts.positions:
        if position.is_open or position.run_id != facts.run_id:
            continue
        fills = [fill for fill in facts.fills if fill.decision_id == position.decision_id]
        bought = [fill for fill in fills if fill.side == "BUY"]
        sold = [fill for fill in fills if fill.side == "SELL"]
        if bought and sold:
            found.append(_trip(facts, journal, position, bought, sold))
    return tuple(sorted(found, key=lambda trip: trip.exit_at_ms))


def _trip(
    facts: Facts,
    journal: JournalRows | None,
    position: PositionFact,
    bought: Sequence[FillFact],
    sold: Sequence[FillFact],
) -> RoundTrip:
    exit_at = max(fill.exchange_time_ms for fill in sold)
    if journal is None:
        after, source = _protected_by_ledger(facts, position), "ledger"
    else:
        after, source = _protected_by_journal(facts, journal, position.decision_id), "journal"
    return RoundTrip(
        symbol=position.symbol,
        position_id=position.position_id,
        decision_id=position.decision_id,
        entry_at_ms=min(fill.exchange_time_ms for fill in bought),
        exit_at_ms=exit_at,
        entry_price=_average(bought),
        exit_price=_average(sold),
        qty=sum((fill.qty for fill in sold), Decimal(0)),
        pnl_quote=position.realised_quote,
        fees_quote=position.fees_quote,
        exit_reason=position.exit_reason,
        protected_after_ms=after,
        protection_source=source,
        reconciled_at_ms=_reconciled(facts, journal, position.decision_id, exit_at),
    )


def _average(fills: Sequence[FillFact]) -> Decimal:
    qty = sum((fill.qty for fill in fills), Decimal(0))
    paid = sum((fill.qty * fill.price for fill in fills), Decimal(0))
    return _PRICE.divide(paid, qty)


def _roles(facts: Facts, decision_id: str) -> dict[str, str]:
    """Return what each client id of a decision is for."""
    intents = {i.order_intent_id for i in facts.intents if i.decision_id == decision_id}
    return {
        alias.client_order_id: alias.role
        for alias in facts.aliases
        if alias.order_intent_id in intents
    }


def _protected_by_ledger(facts: Facts, position: PositionFact) -> int:
    """Return the runtime's own measure if the ledger shows a confirmed protection, else -1."""
    roles = _roles(facts, position.decision_id)
    legs = {
        roles[order.own_id]
        for order in facts.orders
        if order.side == "SELL" and order.status != "REJECTED" and order.own_id in roles
    }
    return position.unprotected_ms if legs >= _FULL or "STOP" in legs else -1


def _protected_by_journal(facts: Facts, journal: JournalRows, decision_id: str) -> int:
    """Return the ms from the last entry fill until both legs, or a single stop, stood; else -1."""
    roles = _roles(facts, decision_id)
    standing: dict[int, str] = {}
    bought_ms = 0
    for item in journal.timeline():
        role = roles.get(item.client_order_id, "")
        if not role:
            continue
        if isinstance(item, JournalFill):
            bought_ms = item.at_ms if item.side == "BUY" else bought_ms
        elif item.side == "SELL":
            _stand(standing, item, role)
            if bought_ms and (set(standing.values()) >= _FULL or "STOP" in standing.values()):
                return max(0, item.at_ms - bought_ms)
    return -1


def _stand(standing: dict[int, str], order: JournalOrder, role: str) -> None:
    if order.status in OPEN:
        standing[order.order_id] = role
    else:
        standing.pop(order.order_id, None)


def _reconciled(facts: Facts, journal: JournalRows | None, decision_id: str, exit_ms: int) -> int:
    if journal is None:
        intents = {i.order_intent_id for i in facts.intents if i.decision_id == decision_id}
        left = any(o.is_open for o in facts.orders if o.order_intent_id in intents)
    else:
        roles = _roles(facts, decision_id)
        last = {(o.symbol, o.order_id): o for o in journal.orders if o.client_order_id in roles}
        left = any(o.is_open for o in last.values())
    if left:
        return 0
    return next(
        (
            report.started_at_ms
            for report in facts.reconciles
            if report.label == "OK" and report.started_at_ms > exit_ms
        ),
        0,
    )
