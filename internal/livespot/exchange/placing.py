"""Accepts a single order: rules, filters, funds, then the book."""

from decimal import Decimal

from msgspec.structs import replace

from livespot.exchange.amounts import market_quantity
from livespot.exchange.filters import check_counts, check_order, check_position, check_qty
from livespot.exchange.funds import INSUFFICIENT, require_free, set_lock, up
from livespot.exchange.matching import enter, would_take
from livespot.exchange.model import (
    ALGO_TYPES,
    LIMIT_TYPES,
    NO_LIST,
    STOP_TYPES,
    ZERO,
    Lock,
    Order,
    Rejection,
    Side,
)
from livespot.exchange.params import OrderRequest
from livespot.exchange.pegging import prepared, priced
from livespot.exchange.state import Account, Exchange, Market

_TYPE_NAMES = {
    "MARKET": "Market",
    "STOP_LOSS": "Stop loss",
    "STOP_LOSS_LIMIT": "Stop loss limit",
    "TAKE_PROFIT": "Take profit",
    "TAKE_PROFIT_LIMIT": "Take profit limit",
    "LIMIT": "Limit",
    "LIMIT_MAKER": "Limit maker",
}
DUPLICATE = "Duplicate order sent."
WOULD_TAKE = "Order would immediately match and take."
WOULD_TRIGGER = "Order would trigger immediately."
BAD_PRICES = "The relationship of the prices for the orders is not correct."
_REJECT_REASONS = {
    INSUFFICIENT: "INSUFFICIENT_BALANCES",
    WOULD_TRIGGER: "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
    WOULD_TAKE: "WOULD_MATCH_IMMEDIATELY",
    BAD_PRICES: "OCO_BAD_PRICES",
}


def check_before_engine(
    exchange: Exchange, market: Market, account: Account, request: OrderRequest
) -> None:
    """Everything that needs no look at the book: support, filters, counts of open orders."""
    check_account(market, account)
    check_supported(market, request)
    check_limits(exchange, market, account, request)


def check_limits(
    exchange: Exchange, market: Market, account: Account, request: OrderRequest
) -> None:
    """Every filter: on the order itself, and over all that the account has open."""
    if request.peg is None:
        check_order(exchange, market, request)
    else:
        check_filters(exchange, market, request)
    check_counts(market, account, (request,))
    check_position(market, account, request)


def check_filters(
    exchange: Exchange, market: Market, request: OrderRequest, *, waits: bool = False
) -> None:
    """The filters of one order; a pegged one must hold them at each of its prices."""
    if request.peg is None:
        check_order(exchange, market, request)
        return
    variants = priced(market, request, waits=waits)
    for variant in variants:
        check_order(exchange, market, variant)
    if not variants and request.qty is not None:
        check_qty(market, request, request.qty)


def check_account(market: Market, account: Account, code: int = -2010) -> None:
    """The account may trade, and on this symbol."""
    spec = account.spec
    if not spec.can_trade:
        raise Rejection(code, "This account may not place or cancel orders.")
    for group in market.permissions:
        if group.isdisjoint(spec.permissions):
            raise Rejection(code, "This symbol is not permitted for this account.")
    if market.spec.symbol in spec.restricted_symbols:
        raise Rejection(code, "This symbol is restricted for this account.")


def check_supported(market: Market, request: OrderRequest) -> None:
    """The symbol trades, and knows this kind of order."""
    spec = market.spec
    if spec.status != "TRADING":
        raise Rejection(-2010, "Market is closed.")
    if request.type not in spec.order_types:
        name = _TYPE_NAMES[request.type]
        raise Rejection(-2010, f"{name} orders are not supported for this symbol.")
    if request.quote_qty > 0 and not spec.quote_order_qty_allowed:
        text = "Quote order qty market orders are not support for this symbol."
        raise Rejection(-2010, text)


def accept(exchange: Exchange, market: Market, account: Account, request: OrderRequest) -> Order:
    """Check one order against the engine and fund it; nothing is on the book before `start`.

    Raises:
        Rejection: -2010, and then nothing has changed.
    """
    if request.client_id is not None:
        check_client_ids(market, account, [request.client_id])
    if request.peg is not None:
        request = prepared(market, request)
    check_crossing(market, request)
    resolved = resolve_amount(market, request)
    if request.qty is None:
        check_position(market, account, resolved)
    lock = funded_lock(market, account, [resolved])
    order = create(exchange, market, account, resolved, lock)
    activate(exchange, market, order)
    return order


def reject_reason(error: Rejection) -> str | None:
    """What the user stream says about a refusal by the engine; None if it says nothing."""
    return _REJECT_REASONS.get(error.msg) if error.code == -2010 else None


def report_refused(
    exchange: Exchange,
    market: Market,
    account: Account,
    request: OrderRequest,
    reason: str,
    list_id: int = NO_LIST,
) -> Order:
    """Announce an order the engine refused. It takes an order id and leaves no other trace."""
    unpriced = prepared(market, request, waits=True)
    order = _numbered(exchange, market, account, unpriced, Lock(market.spec.quote), list_id)
    order.status = "REJECTED"
    exchange.report(order, "REJECTED", reject_reason=reason)
    return order


def start(exchange: Exchange, market: Market, order: Order) -> None:
    """Announce an accepted order and send it to the book, or leave it waiting."""
    exchange.report(order, "NEW")
    if not order.conditional:
        enter(exchange, market, order)


def check_client_ids(market: Market, account: Account, ids: list[str | None]) -> None:
    """No id may name an open order or appear twice in one request."""
    named = [client_id for client_id in ids if client_id is not None]
    for client_id in named:
        holder = market.by_client.get((account.spec.account_id, client_id))
        if (holder is not None and holder in market.open_ids) or named.count(client_id) > 1:
            raise Rejection(-2010, DUPLICATE)


def check_crossing(market: Market, request: OrderRequest) -> None:
    """A maker order must not take and a trigger must not lie behind the market."""
    if request.type == "LIMIT_MAKER" and would_take(market, request.side, request.price):
        raise Rejection(-2010, WOULD_TAKE)
    stop = request.stop_price
    if stop is None:
        return
    last = market.last_price
    if last is not None and trigger_reached(request.type, request.side, stop, last):
        raise Rejection(-2010, WOULD_TRIGGER)


def trigger_reached(order_type: str, side: Side, stop: Decimal, last: Decimal) -> bool:
    """True when the last price meets the stop condition of this type and side."""
    if triggers_above(order_type, side):
        return last >= stop
    return last <= stop


def triggers_above(order_type: str, side: Side) -> bool:
    """True for orders that wait for a higher price: stop-loss buys and take-profit sells."""
    return (order_type in STOP_TYPES) == (side == "BUY")


def resolve_amount(market: Market, request: OrderRequest) -> OrderRequest:
    """Turn a market order by quote amount into a quantity at the current book."""
    if request.qty is not None or request.quote_qty == 0:
        return request
    return replace(request, qty=market_quantity(market, request.side, request.quote_qty))


def funded_lock(market: Market, account: Account, requests: list[OrderRequest]) -> Lock:
    """Lock what the dearest of these alternatives needs.

    Raises:
        Rejection: -2010, the account has too little.
    """
    first = requests[0]
    lock = Lock(market.spec.base if first.side == "SELL" else market.spec.quote)
    if first.type == "MARKET" and first.side == "BUY" and first.quote_qty == 0:
        require_free(account, lock.asset, _market_cost(market, first.qty or ZERO))
        return lock
    need = _need(market, first)
    if len(requests) > 1:
        need = max(need, *(_need(market, request) for request in requests[1:]))
    set_lock(account, lock, need)
    return lock


def lock_price(market: Market, request: OrderRequest) -> Decimal:
    """What a buy reserves per unit; nothing for a plain market order."""
    if request.peg is not None and request.price == 0:
        return request.peg.stated or request.stop_price or market.last_price or ZERO
    if request.type in LIMIT_TYPES:
        return request.price
    if request.type not in ALGO_TYPES:
        return ZERO
    return request.stop_price or market.last_price or ZERO


def create(
    exchange: Exchange,
    market: Market,
    account: Account,
    request: OrderRequest,
    lock: Lock,
    list_id: int = NO_LIST,
) -> Order:
    """Register an order as pending; `activate` makes it live."""
    order = _numbered(exchange, market, account, request, lock, list_id)
    exchange.opened(market, order)
    return order


def _numbered(
    exchange: Exchange,
    market: Market,
    account: Account,
    request: OrderRequest,
    lock: Lock,
    list_id: int,
) -> Order:
    market.last_order_id += 1
    return Order(
        account.spec.account_id,
        market.spec.symbol,
        market.last_order_id,
        request.client_id or exchange.new_name(),
        request.side,
        request.type,
        request.time_in_force,
        request.price,
        request.qty,
        request.quote_qty,
        lock,
        exchange.now_ms,
        lock_price(market, request),
        list_id,
        request.stop_price,
        request.trailing_delta,
        -1,  # trailing_ms
        None,  # trailing_extreme
        request.iceberg_qty,
        request.strategy_id,
        request.strategy_type,
        request.stp,
        "PENDING_NEW",
        updated_ms=exchange.now_ms,
        peg=request.peg,
    )


def request_of(order: Order) -> OrderRequest:
    """The request that would place what an order is now, at the price it states."""
    return OrderRequest(
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        qty=order.orig_qty,
        quote_qty=order.quote_qty,
        price=order.shown_price,
        stop_price=order.stop_price,
        trailing_delta=order.trailing_delta,
        iceberg_qty=order.iceberg_qty,
        strategy_id=order.strategy_id,
        strategy_type=order.strategy_type,
        client_id=order.client_id,
        stp=order.stp,
        peg=order.peg,
    )


def activate(exchange: Exchange, market: Market, order: Order) -> None:
    """Make an order live: on the book at once, or watching for its trigger."""
    order.status = "NEW"
    order.sequence = exchange.next_sequence()
    order.conditional = order.stop_price is not None or order.trailing_delta is not None
    if not order.conditional:
        order.working_ms = exchange.now_ms
        return
    market.waiting[order.order_id] = order
    if order.stop_price is None and market.last_price is not None:
        order.trailing_extreme = market.last_price
        order.trailing_ms = exchange.now_ms


def _need(market: Market, request: OrderRequest) -> Decimal:
    qty = request.qty or ZERO
    if request.side == "SELL":
        return qty
    if request.quote_qty > 0:
        return request.quote_qty
    return up(lock_price(market, request) * qty)


def _market_cost(market: Market, qty: Decimal) -> Decimal:
    cost = ZERO
    for price, offered in market.book.walk("BUY", None):
        taken = min(offered, qty)
        cost += price * taken
        qty -= taken
        if qty == 0:
            break
    return up(cost)
