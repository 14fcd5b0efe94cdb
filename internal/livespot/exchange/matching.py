"""Executes orders: matches takers, fills resting orders and ends what cannot trade on."""

from decimal import Decimal

from livespot.exchange.book import Maker, opposite, reaches
from livespot.exchange.funds import affordable, down, pay, receive, settle_lock
from livespot.exchange.model import (
    LIMIT_TYPES,
    NO_ORDER,
    ZERO,
    Fill,
    Levels,
    Order,
    PublicTrade,
    Side,
)
from livespot.exchange.state import Exchange, Market

_DECREMENTS = frozenset({"DECREMENT", "TRANSFER"})


def enter(exchange: Exchange, market: Market, order: Order) -> None:
    """Send an activated order to the book: trade, then rest or expire."""
    order.working_ms = exchange.now_ms
    order.sequence = exchange.next_sequence()
    limit = order.price if order.type in LIMIT_TYPES else None
    if order.time_in_force == "FOK" and not _fillable(market, order, limit):
        end_order(exchange, order, "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
        return
    _take(exchange, market, order, limit)
    if not order.is_open:
        return
    if limit is None:
        end_order(exchange, order, "EXPIRED", "INSUFFICIENT_LIQUIDITY")
    elif order.time_in_force == "IOC":
        end_order(exchange, order, "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
    else:
        market.book.rest(order)


def end_order(
    exchange: Exchange,
    order: Order,
    status: str,
    reason: str = "NONE",
    execution_type: str | None = None,
) -> None:
    """Close an order that did not fill: off the book, funds released, reported."""
    market = exchange.market_of(order)
    order.status = status
    order.expiry_reason = reason
    market.book.remove(order)
    market.open_ids.pop(order.order_id, None)
    settle_lock(exchange, order)
    if status != "EXPIRED_IN_MATCH":
        exchange.report(order, execution_type or status)
    exchange.changed.append(order)


def replace_house(exchange: Exchange, market: Market, bids: Levels, asks: Levels) -> None:
    """Set the house levels; resting orders they cross fill as maker at their own price."""
    exchange.house_takers += 1
    market.book.replace_house(bids, asks)
    sides: tuple[Side, Side] = ("BUY", "SELL")
    for side in sides:
        for order in market.book.resting(side):
            _meet_house(exchange, market, order)


def fill_through(exchange: Exchange, market: Market, price: Decimal) -> None:
    """Fill every resting order that the market must have passed to trade at `price`."""
    sides: tuple[Side, Side] = ("BUY", "SELL")
    for side in sides:
        for order in market.book.resting(side):
            if order.price != price and reaches(side, order.price, price):
                _fill_resting(exchange, market, order, order.remaining)


def print_trade(
    exchange: Exchange, market: Market, price: Decimal, qty: Decimal, *, buyer_is_maker: bool
) -> None:
    """A market trade: it eats the queue at its price first and then the orders behind it."""
    side: Side = "BUY" if buyer_is_maker else "SELL"
    left = qty
    own = ZERO
    for order in market.book.resting(side):
        if order.price == price and left > 0:
            eaten = min(order.queue_ahead, left)
            market.book.advance_queue(side, price, eaten)
            left -= eaten
            filled = min(order.remaining, left)
            if filled > 0:
                _fill_resting(exchange, market, order, filled)
                left -= filled
                own += filled
    if qty > own:
        _publish(exchange, market, price, qty - own, (None, None), buyer_is_maker=buyer_is_maker)


def would_take(market: Market, side: Side, price: Decimal) -> bool:
    """True when a limit order at this price would trade at once."""
    return market.book.best_maker(side, price) is not None


def _fillable(market: Market, order: Order, limit: Decimal | None) -> bool:
    offered = sum((qty for _, qty in market.book.walk(order.side, limit)), ZERO)
    return offered >= order.remaining


def _take(exchange: Exchange, market: Market, order: Order, limit: Decimal | None) -> None:
    while order.is_open and order.remaining > 0:
        maker = market.book.best_maker(order.side, limit)
        if maker is None:
            return
        if maker.order is not None and _is_prevented(order, maker.order):
            _prevent(exchange, market, order, maker.order)
            continue
        qty = min(affordable(exchange, order, maker.price), maker.qty)
        if qty <= 0:
            end_order(exchange, order, "EXPIRED", "INSUFFICIENT_LIQUIDITY")
            return
        _meet(exchange, market, order, maker, qty)


def _meet(exchange: Exchange, market: Market, order: Order, maker: Maker, qty: Decimal) -> None:
    if maker.order is None:
        market.book.take_house(opposite(order.side), maker.price, qty)
    buys = order.side == "BUY"
    buyer, seller = (order, maker.order) if buys else (maker.order, order)
    _trade(exchange, market, maker.price, qty, (buyer, seller), buyer_is_maker=not buys)


def _meet_house(exchange: Exchange, market: Market, order: Order) -> None:
    other = opposite(order.side)
    while order.is_open:
        house = next(iter(market.book.house_levels(other)), None)
        if house is None or not reaches(order.side, order.price, house[0]):
            return
        qty = min(order.remaining, house[1])
        market.book.take_house(other, house[0], qty)
        _fill_resting(exchange, market, order, qty)


def _fill_resting(exchange: Exchange, market: Market, order: Order, qty: Decimal) -> None:
    buys = order.side == "BUY"
    buyer, seller = (order, None) if buys else (None, order)
    _trade(exchange, market, order.price, qty, (buyer, seller), buyer_is_maker=buys)


def _trade(
    exchange: Exchange,
    market: Market,
    price: Decimal,
    qty: Decimal,
    parties: tuple[Order | None, Order | None],
    *,
    buyer_is_maker: bool,
) -> None:
    buyer, seller = parties
    trade_id = market.last_trade_id + 1
    taker, maker = (seller, buyer) if buyer_is_maker else (buyer, seller)
    terms = (trade_id, price, qty)
    # Commission in another asset is converted at the price of this very trade.
    market.last_price = price
    if taker is not None:
        _apply(exchange, market, taker, terms, is_maker=False, has_peer=maker is not None)
    if maker is not None:
        _apply(exchange, market, maker, terms, is_maker=True, has_peer=taker is not None)
    _publish(exchange, market, price, qty, parties, buyer_is_maker=buyer_is_maker)
    market.book.dirty = True


def _apply(
    exchange: Exchange,
    market: Market,
    order: Order,
    terms: tuple[int, Decimal, Decimal],
    *,
    is_maker: bool,
    has_peer: bool,
) -> None:
    trade_id, price, qty = terms
    quote = down(price * qty)
    account = exchange.accounts[order.account_id]
    buys = order.side == "BUY"
    pay(exchange, order, quote if buys else qty, to_house=not has_peer)
    commission, paid_in = receive(
        exchange,
        order,
        qty if buys else quote,
        is_maker=is_maker,
        from_house=not has_peer,
    )
    if order.executed == 0:
        account.counts.first_fill(is_maker=is_maker, now_ms=exchange.now_ms)
    order.executed += qty
    order.cum_quote += quote
    order.status = "PARTIALLY_FILLED" if order.remaining > 0 else "FILLED"
    fill = Fill(
        trade_id=trade_id,
        order_id=order.order_id,
        list_id=order.list_id,
        price=price,
        qty=qty,
        quote_qty=quote,
        commission=commission,
        commission_asset=paid_in,
        time_ms=exchange.now_ms,
        is_buyer=buys,
        is_maker=is_maker,
    )
    order.fills.append(fill)
    market.fills.setdefault(order.account_id, []).append(fill)
    if order.status == "FILLED":
        market.book.remove(order)
        market.open_ids.pop(order.order_id, None)
    settle_lock(exchange, order)
    exchange.report(order, "TRADE", fill)
    exchange.changed.append(order)


def _publish(
    exchange: Exchange,
    market: Market,
    price: Decimal,
    qty: Decimal,
    parties: tuple[Order | None, Order | None],
    *,
    buyer_is_maker: bool,
) -> None:
    buyer, seller = parties
    taker = seller if buyer_is_maker else buyer
    market.last_trade_id += 1
    market.last_price = price
    market.forget_prints(exchange.now_ms)
    market.prints.append((exchange.now_ms, price, qty))
    market.unseen_prices.append((exchange.next_sequence(), price))
    exchange.events.append(
        PublicTrade(
            symbol=market.spec.symbol,
            trade_id=market.last_trade_id,
            price=price,
            qty=qty,
            buyer_is_maker=buyer_is_maker,
            buyer_order_id=buyer.order_id if buyer else NO_ORDER,
            seller_order_id=seller.order_id if seller else NO_ORDER,
            time_ms=exchange.now_ms,
            taker_id=taker.order_id if taker else -exchange.house_takers,
        )
    )


def _is_prevented(taker: Order, maker: Order) -> bool:
    return taker.account_id == maker.account_id and taker.stp != "NONE"


def _prevent(exchange: Exchange, market: Market, taker: Order, maker: Order) -> None:
    market.last_match_id += 1
    qty = min(taker.remaining, maker.remaining)
    ended = []
    if taker.stp in _DECREMENTS:
        ended = [order for order in (taker, maker) if order.remaining == qty]
    elif taker.stp == "EXPIRE_TAKER":
        ended = [taker]
    elif taker.stp == "EXPIRE_MAKER":
        ended = [maker]
    else:
        ended = [taker, maker]
    for order, other in ((taker, maker), (maker, taker)):
        if order in ended or taker.stp in _DECREMENTS:
            amount = qty if taker.stp in _DECREMENTS else order.remaining
            _reduce(exchange, order, other, amount, maker.price, ends=order in ended)
    market.book.dirty = True


def _reduce(
    exchange: Exchange, order: Order, other: Order, amount: Decimal, price: Decimal, *, ends: bool
) -> None:
    order.prevented += amount
    order.prevented_match_id = exchange.market_of(order).last_match_id
    if ends:
        end_order(exchange, order, "EXPIRED_IN_MATCH")
    else:
        settle_lock(exchange, order)
    exchange.report_prevention(order, other, amount, price)
