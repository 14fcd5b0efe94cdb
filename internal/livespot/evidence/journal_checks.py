"""Checks against the exchange's journal: what the exchange did, and what the ledger holds of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from livespot.contracts.ids import is_own_client_order_id
from livespot.evidence.findings import Finding, judged
from livespot.evidence.journal import JournalFill, JournalOrder, JournalRequest, JournalRows
from livespot.evidence.rows import Facts, FillFact, ModeFact
from livespot.evidence.sent_in import Spell, sent_in

# Comparisons between the exchange's clock and ours allow for this difference.
_CLOCK_SLACK_MS = 250
# All open orders of the account are read every minute, plus the time that such a read takes.
_READ_AGAIN_MS = 75_000
_FILTER_FAILURE = "-1013"
_ZERO = Decimal(0)


def one_order_per_client_id(facts: Facts, journal: JournalRows) -> Finding:
    """I01: no client id stands for two orders, and none was accepted twice."""
    orders: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for order in journal.orders:
        orders[order.client_order_id].add((order.symbol, order.order_id))
    accepted = Counter(
        (request.verb == "place_list", request.own_ids[0])
        for request in journal.requests
        if request.accepted and request.own_ids and request.verb != "cancel"
    )
    problems = [
        f"{name} stands for {len(made)} orders" for name, made in orders.items() if len(made) > 1
    ]
    problems += [f"{name} was accepted {n} times" for (_, name), n in accepted.items() if n > 1]
    if not facts.file.unique_client_ids:
        problems.append("the ledger has no unique index on client_order_id")
    return judged("I01", "One order per client id", len(orders), problems)


def no_unknown_orders(facts: Facts, journal: JournalRows) -> Finding:
    """I03: the ledger knows every order of ours, and a foreign order that lasted was announced.

    A foreign order that ended before all open orders were read again may only show in its events.
    """
    known = {alias.client_order_id for alias in facts.aliases}
    announced = {a.symbol for a in facts.alerts if a.code == "FOREIGN_ORDER_DETECTED"}
    orders = {(o.client_order_id, o.symbol) for o in journal.orders}
    brief = {
        (o.client_order_id, o.symbol)
        for o in journal.orders
        if not (o.is_open or o.status == "PENDING_NEW") and o.at_ms < o.created_ms + _READ_AGAIN_MS
    }
    problems = []
    for name, symbol in sorted(orders):
        if name in known:
            continue
        if is_own_client_order_id(name):
            problems.append(f"the ledger does not know our order {name} on {symbol}")
        elif symbol not in announced and (name, symbol) not in brief:
            problems.append(f"a foreign order {name} on {symbol} was never announced")
    return judged("I03", "No unknown orders", len(orders), problems)


def written_ahead(facts: Facts, journal: JournalRows) -> Finding:
    """I04: whatever reached the exchange was durable as SENT_UNKNOWN before."""
    intents, sent = facts.own_intents(), facts.sent_at()
    problems, looked_at = [], 0
    for request in journal.requests:
        for name in request.own_ids:
            looked_at += 1
            intent = intents.get(name)
            at_ms = sent.get(intent.order_intent_id) if intent is not None else None
            if intent is None:
                problems.append(f"{request.path} {name} has no intent")
            elif at_ms is None:
                problems.append(f"{name} arrived, but its intent never became SENT_UNKNOWN")
            elif at_ms > request.arrived_ms + _CLOCK_SLACK_MS:
                problems.append(f"{name} arrived {at_ms - request.arrived_ms} ms before its row")
    return judged("I04", "Written before it is sent", looked_at, problems)


def every_fill_once(facts: Facts, journal: JournalRows) -> Finding:
    """I07: the ledger holds each of our executions exactly once, equal to the last digit."""
    theirs = our_fills(facts, journal)
    ours = {(fill.symbol, fill.trade_id): fill for fill in facts.fills}
    counted = Counter((fill.symbol, fill.trade_id) for fill in theirs)
    problems = [f"the exchange reports {key} {n} times" for key, n in counted.items() if n > 1]
    for fill in theirs:
        own = ours.pop((fill.symbol, fill.trade_id), None)
        place = f"trade {fill.trade_id} on {fill.symbol}"
        if own is None:
            if counted[fill.symbol, fill.trade_id] == 1:
                problems.append(f"{place} is missing in the ledger")
        elif differing := _differing(own, fill):
            problems.append(f"{place} differs in {differing}")
    problems += [f"trade {i} on {symbol} is only in the ledger" for symbol, i in ours]
    return judged("I07", "Every fill is in the ledger exactly once", len(counted), problems)


def our_fills(facts: Facts, journal: JournalRows) -> tuple[JournalFill, ...]:
    """Return the journal's executions of orders with client ids of ours."""
    known = {alias.client_order_id for alias in facts.aliases}
    return tuple(
        fill
        for fill in journal.fills
        if fill.client_order_id in known or is_own_client_order_id(fill.client_order_id)
    )


def _differing(own: FillFact, fill: JournalFill) -> str:
    pairs: Mapping[str, tuple[object, object]] = {
        "order": (own.order_id, fill.order_id),
        "side": (own.side, fill.side),
        "quantity": (own.qty, fill.qty),
        "price": (own.price, fill.price),
        "fee": (own.commission, fill.fee),
        "fee asset": (own.commission_asset, fill.fee_asset) if fill.fee else ("", ""),
    }
    return ", ".join(name for name, (left, right) in pairs.items() if left != right)


def balances_not_negative(journal: JournalRows) -> Finding:
    """I09: nothing that was not there was ever sold or spent."""
    problems = [
        f"{balance.asset} fell to {min(balance.free, balance.locked)}"
        for balance in journal.balances
        if balance.free < 0 or balance.locked < 0
    ]
    return judged("I09", "Never sell what is not there", len(journal.balances), problems)


@dataclass(slots=True)
class _Lot:
    """What one position bought and has not sold yet, before fees; `buys` are its entry orders."""

    qty: Decimal = _ZERO
    buys: set[int] = field(default_factory=set)
    sells: bool = False

    def take(self, fill: JournalFill, *, stands: bool) -> None:
        """Book a fill. `stands`: a sale is in the book, so no new position can have begun."""
        if fill.side != "BUY":
            self.qty -= fill.qty
            self.sells = True
            return
        if self.sells and not stands and fill.order_id not in self.buys:
            self.qty, self.buys, self.sells = _ZERO, set(), False
        self.qty += fill.qty
        self.buys.add(fill.order_id)


def protection_within_position(facts: Facts, journal: JournalRows) -> Finding:
    """I11: open sales never exceed what the position bought and has not sold yet.

    Measured before fees: a leg may cover what a fee took, if other base of the account pays for it.
    Leftovers of earlier positions (fees, rounding) do not count. The legs of one list exclude each
    other and count once. Only our own orders count: somebody else may sell base of their own.
    """
    known = {alias.client_order_id for alias in facts.aliases}
    held: dict[str, _Lot] = defaultdict(_Lot)
    standing: dict[int, JournalOrder] = {}
    problems, looked_at = [], 0
    for item in journal.timeline():
        if item.client_order_id not in known and not is_own_client_order_id(item.client_order_id):
            continue
        if isinstance(item, JournalFill):
            held[item.symbol].take(item, stands=_offered(standing.values(), item.symbol) > 0)
            continue
        if item.side != "SELL":
            continue
        begins = item.is_open and item.order_id not in standing
        standing[item.order_id] = item
        if not item.is_open:
            del standing[item.order_id]
        if begins:
            looked_at += 1
            offered = _offered(standing.values(), item.symbol)
            if offered > held[item.symbol].qty:
                problems.append(f"{item.symbol}: {offered} offered, {held[item.symbol].qty} held")
    return judged("I11", "Protection never exceeds the position", looked_at, problems)


def _offered(standing: Iterable[JournalOrder], symbol: str) -> Decimal:
    lists: dict[str, Decimal] = {}
    for order in standing:
        if order.symbol == symbol:
            name = order.list_client_order_id or f"order {order.order_id}"
            lists[name] = max(lists.get(name, _ZERO), order.remaining)
    return sum(lists.values(), _ZERO)


def no_entry_outside_normal(facts: Facts, journal: JournalRows) -> Finding:
    """I13: no request to buy was sent while the audited mode was not NORMAL.

    The row written before the send is compared with the mode by the order of the audit; where that
    order is not known, by our own clock to the millisecond. The time in the signature, which is the
    exchange's, is compared with a slack for the difference of two clocks.
    """
    intents, sent, spells = facts.own_intents(), facts.sent_at(), sent_in(facts)
    buys = [request for request in journal.requests if request.buys]
    problems = []
    for request in buys:
        name = next(iter(request.own_ids), "")
        intent = intents.get(name)
        row_ms = sent.get(intent.order_intent_id) if intent is not None else None
        spell = spells.get(intent.order_intent_id) if intent is not None else None
        signed_ms = _signed_ms(request)
        if row_ms is not None and not _written_in_normal(facts, spell, row_ms):
            problems.append(f"{name} was written for sending at {row_ms}, outside NORMAL")
        elif not _signed_in_normal(facts, spell, row_ms, signed_ms):
            problems.append(f"{name} was signed at {signed_ms}, outside NORMAL")
    return judged("I13", "No entry outside NORMAL", len(buys), problems)


def _written_in_normal(facts: Facts, spell: Spell | None, row_ms: int) -> bool:
    return _was_normal(facts.modes, row_ms, 1) if spell is None else spell.mode == "NORMAL"


def _signed_in_normal(
    facts: Facts, spell: Spell | None, row_ms: int | None, signed_ms: int
) -> bool:
    if spell is None or row_ms is None:
        return _was_normal(facts.modes, signed_ms, _CLOCK_SLACK_MS)
    # If the row's own stamp lies outside the mode's span, the clock was set in between.
    late = row_ms <= spell.ended_ms < signed_ms - _CLOCK_SLACK_MS
    early = signed_ms + _CLOCK_SLACK_MS < spell.began_ms <= row_ms
    return not late and not early


def _signed_ms(request: JournalRequest) -> int:
    text = request.params.get("timestamp", "")
    return int(text) if text.isdigit() else request.arrived_ms


def _was_normal(modes: Iterable[ModeFact], at_ms: int, slack_ms: int) -> bool:
    """Whether NORMAL was in force at any time in [at_ms - slack_ms, at_ms]."""
    in_force = ""
    for mode in modes:
        if mode.at_ms > at_ms:
            break
        if mode.at_ms >= at_ms - slack_ms and "NORMAL" in (in_force, mode.mode):
            return True
        in_force = mode.mode
    return in_force == "NORMAL"


def no_avoidable_filter_rejects(journal: JournalRows) -> Finding:
    """I16: the exchange's filters never had to refuse an order."""
    placed = [r for r in journal.requests if r.verb in ("place", "place_list", "replace")]
    problems = [
        f"{next(iter(request.own_ids), request.path)} failed a filter"
        for request in placed
        if request.outcome.endswith(_FILTER_FAILURE)
    ]
    return judged("I16", "No avoidable filter rejects", len(placed), problems)


def only_own_orders_cancelled(facts: Facts, journal: JournalRows) -> Finding:
    """I37: every cancel named one order of ours; there was no request to cancel all."""
    known = {alias.client_order_id for alias in facts.aliases}
    own = {str(o.order_id) for o in journal.orders if o.client_order_id in known}
    problems, looked_at = [], 0
    for request in journal.requests:
        if request.verb == "cancel_all":
            looked_at += 1
            problems.append(f"{request.path} cancels whatever it finds")
        elif request.verb in ("cancel", "cancel_list", "replace"):
            looked_at += 1
            target = _target(request)
            if target not in own and target not in known:
                problems.append(f"{request.path} aimed at {target or 'nothing'}, not ours")
    return judged("I37", "Only our own orders are cancelled", looked_at, problems)


def _target(request: JournalRequest) -> str:
    names = ("orderId", "cancelOrderId", "origClientOrderId", "cancelOrigClientOrderId",
             "listClientOrderId")  # fmt: skip
    return next((request.params[name] for name in names if name in request.params), "")
