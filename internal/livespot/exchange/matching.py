"""Executes orders: matches takers, fills resting orders and ends what cannot trade on."""

from decimal import Decimal
from typing import TypeAlias

from livespot.exchange.book import Maker, displayed, opposite, reaches
from livespot.exchange.funds import affordable, down, hand_over, pay, receive, settle_lock
from livespot.exchange.model import (
    LIMIT_TYPES,
    NO_ORDER,
    OPEN_STATUSES,
    ZERO,
    Fill,
    Levels,
    Order,
    PreventedMatch,
    PublicTrade,
    Side,
)
from livespot.exchange.state import Exchange, Market

Bounds: TypeAlias = tuple[Decimal | None, Decimal | None]


def enter(exchange: Exchange, market: Market, order: Order) -> None:
    """Send an activated order to the book: trade, then rest or expire."""
    order.working_ms = exchange.now_ms
    order.sequence = exchange.next_sequence()
    limit = order.price if order.type in LIMIT_TYPES else None
    bounds = None if market.price_range is None else price_bounds(market, order.side)
    if order.time_in_force == "FOK":
        refusal = _unfillable(exchange, market, order, bounds)
        if refusal is not None:
            end_order(exchange, order, "EXPIRED", refusal)
            return
    _take(exchange, market, order, limit, bounds)
    if order.status not in OPEN_STATUSES:
        return
    if limit is None:
        end_order(exchange, order, "EXPIRED", "INSUFFICIENT_LIQUIDITY")
    elif order.time_in_force == "IOC":
        end_order(exchange, order, "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
    else:
        market.book.rest(order)


def price_bounds(market: Market, side: Side) -> Bounds | None:
    """(lowest, highest) price a taker that starts now may trade at; None when nothing binds it."""
    rule, reference = market.price_range, market.reference
    if rule is None or reference is None or reference[0] is None:
        return None
    down_by, up_by = (rule.bid_down, rule.bid_up) if side == "BUY" else (rule.ask_down, rule.ask_up)
    price = reference[0]
    return (
        None if down_by is None else price * down_by,
        None if up_by is None else price * up_by,
    )


def end_order(
    exchange: Exchange,
    order: Order,
    status: str,
    reason: str = "NONE",
    execution_type: str | None = None,
) -> None:
    """Close an order that did not fill: off the book, funds released, reported."""
    market = exchange.markets[order.symbol]
    order.status = status
    order.expiry_reason = reason
    exchange.closed(market, order)
    settle_lock(exchange, order)
    if status != "EXPIRED_IN_MATCH":
        exchange.report(order, execution_type or status)
    exchange.note(order)


def replace_house(exchange: Exchange, market: Market, bids: Levels, asks: Levels) -> None:
    """Set the house levels; resting orders they cross fill as maker at their own price.

    While the symbol does not trade nobody else can act on it either: its book stands still, and
    the newest levels come into force when trading resumes.
    """
    if not market.is_trading:
        market.held_book = (bids, asks)
        return
    exchange.house_takers += 1
    market.held_book = None
    market.book.replace_house(bids, asks)
    sides: tuple[Side, Side] = ("BUY", "SELL")
    for side in sides:
        house = market.book.best_house(opposite(side))
        if house is not None:
            for order in market.book.resting(side, house[0]):
                _meet_house(exchange, market, order)


def fill_through(exchange: Exchange, market: Market, price: Decimal) -> None:
    """Fill every resting order that the market must have passed to trade at `price`."""
    sides: tuple[Side, Side] = ("BUY", "SELL")
    for side in sides:
        for order in market.book.resting(side, price):
            if order.price != price:
                _fill_resting(exchange, market, order, order.remaining)


def print_trade(
    exchange: Exchange, market: Market, price: Decimal, qty: Decimal, *, buyer_is_maker: bool
) -> None:
    """A market trade: it eats the queue at its price first and then the orders behind it."""
    side: Side = "BUY" if buyer_is_maker else "SELL"
    left = qty
    own = ZERO
    while left > 0 and (order := market.book.first_at(side, price)) is not None:
        eaten = min(order.queue_ahead, left)
        market.book.advance_queue(side, price, eaten)
        left -= eaten
        filled = min(displayed(order), left)
        if filled > 0:
            _fill_resting(exchange, market, order, filled)
            left -= filled
            own += filled
    if qty > own:
        _publish(exchange, market, price, qty - own, (None, None), buyer_is_maker=buyer_is_maker)


def would_take(market: Market, side: Side, price: Decimal) -> bool:
    """True when a limit order at this price would trade at once."""
    return market.book.best_maker(side, price) is not None


def _unfillable(
    exchange: Exchange, market: Market, order: Order, bounds: Bounds | None
) -> str | None:
    """Why the whole order cannot trade at once; None when it can.

    Orders it is kept from trading with offer it nothing; except where only they would expire,
    what stands behind the first of them is out of its reach too.
    """
    left = order.remaining
    for maker in market.book.offers(order.side, order.price):
        if left <= 0:
            break
        if not _within(bounds, maker.price):
            return "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
        if maker.order is not None and _is_prevented(exchange, order, maker.order):
            if order.stp != "EXPIRE_MAKER":
                break
            continue
        left -= maker.qty
    return "UNFILLED_FOK_ORDER_EXPIRED" if left > 0 else None


def _take(
    exchange: Exchange,
    market: Market,
    order: Order,
    limit: Decimal | None,
    bounds: Bounds | None,
) -> None:
    book, side = market.book, order.side
    while order.status in OPEN_STATUSES and order.remaining > 0:
        maker = book.best_maker(side, limit)
        if maker is None:
            return
        if bounds is not None and not _within(bounds, maker.price):
            end_order(exchange, order, "EXPIRED", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED")
            return
        qty = min(affordable(exchange, order, maker.price), maker.qty)
        if qty <= 0:
            end_order(exchange, order, "EXPIRED", "INSUFFICIENT_LIQUIDITY")
            return
        if maker.order is not None and _is_prevented(exchange, order, maker.order):
            _prevent(exchange, market, order, maker.order, qty)
        else:
            _meet(exchange, market, order, maker, qty)


def _within(bounds: Bounds | None, price: Decimal) -> bool:
    if bounds is None:
        return True
    low, high = bounds
    return (low is None or price >= low) and (high is None or price <= high)


def _meet(exchange: Exchange, market: Market, order: Order, maker: Maker, qty: Decimal) -> None:
    if maker.order is None:
        market.book.take_house(opposite(order.side), maker.price, qty)
    buys = order.side == "BUY"
    buyer, seller = (order, maker.order) if buys else (maker.order, order)
    _trade(exchange, market, maker.price, qty, (buyer, seller), buyer_is_maker=not buys)


def _meet_house(exchange: Exchange, market: Market, order: Order) -> None:
    other = opposite(order.side)
    while order.is_open:
        house = market.book.best_house(other)
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
    buys = order.side == "BUY"
    pay(exchange, order, quote if buys else qty, to_house=not has_peer)
    commission, paid_in = receive(
        exchange,
        order,
        qty if buys else quote,
        is_maker=is_maker,
        from_house=not has_peer,
    )
    now_ms = exchange.now_ms
    if not order.executed:
        exchange.accounts[order.account_id].counts.first_fill(is_maker=is_maker, now_ms=now_ms)
    order.executed += qty
    order.cum_quote += quote
    is_filled = order.remaining <= 0
    order.status = "FILLED" if is_filled else "PARTIALLY_FILLED"
    # By position: of so many members the names would take longer than the values.
    fill = Fill(
        trade_id,
        order.order_id,
        order.list_id,
        price,
        qty,
        quote,
        commission,
        paid_in,
        now_ms,
        buys,
        is_maker,
    )
    order.fills.append(fill)
    market.fills.setdefault(order.account_id, []).append(fill)
    if is_filled:
        exchange.closed(market, order)
    elif is_maker:
        market.book.shrunk(order, qty)
    settle_lock(exchange, order)
    exchange.report(order, "TRADE", fill)
    exchange.note(order)


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
    market.averages.add(exchange.now_ms, price, qty)
    if market.waiting:
        market.unseen_prices.append((exchange.next_sequence(), price))
    exchange.events.append(
        PublicTrade(
            market.spec.symbol,
            market.last_trade_id,
            price,
            qty,
            buyer_is_maker,
            NO_ORDER if buyer is None else buyer.order_id,
            NO_ORDER if seller is None else seller.order_id,
            exchange.now_ms,
            -exchange.house_takers if taker is None else taker.order_id,
        )
    )


def _is_prevented(exchange: Exchange, taker: Order, maker: Order) -> bool:
    if taker.stp == "NONE":
        return False
    if taker.account_id == maker.account_id:
        return True
    group = exchange.accounts[taker.account_id].spec.trade_group_id
    return group is not None and group == exchange.accounts[maker.account_id].spec.trade_group_id


def _prevent(exchange: Exchange, market: Market, taker: Order, maker: Order, qty: Decimal) -> None:
    """Stop a match of `qty`: the taker's mode says which order loses how much by it."""
    mode = taker.stp
    if mode == "TRANSFER" and maker.stp != "TRANSFER":
        mode = "DECREMENT"
    taker_qty, maker_qty = _losses(mode, taker, maker, qty)
    market.last_match_id += 1
    match = PreventedMatch(
        symbol=taker.symbol,
        match_id=market.last_match_id,
        mode=mode,
        price=maker.price,
        taker_account_id=taker.account_id,
        taker_order_id=taker.order_id,
        taker_qty=taker_qty,
        maker_account_id=maker.account_id,
        maker_symbol=maker.symbol,
        maker_order_id=maker.order_id,
        maker_qty=maker_qty,
        trade_group_id=exchange.accounts[taker.account_id].spec.trade_group_id,
        time_ms=exchange.now_ms,
    )
    market.prevented.append(match)
    taker.prevented_matches += (match,)
    if mode == "TRANSFER" and taker.account_id != maker.account_id:
        buyer, seller = (taker, maker) if taker.side == "BUY" else (maker, taker)
        hand_over(exchange, buyer, seller, qty, down(match.price * qty))
    for order, other, lost in ((taker, maker, taker_qty), (maker, taker, maker_qty)):
        if lost is not None:
            _lose(exchange, order, match, lost)
            exchange.report_prevention(order, other, match, qty)


def _losses(
    mode: str, taker: Order, maker: Order, qty: Decimal
) -> tuple[Decimal | None, Decimal | None]:
    """(what the taker loses, what the maker loses); None for an order that loses nothing."""
    if mode in ("DECREMENT", "TRANSFER"):
        return qty, qty
    return (
        None if mode == "EXPIRE_MAKER" else taker.remaining,
        None if mode == "EXPIRE_TAKER" else maker.remaining,
    )


def _lose(exchange: Exchange, order: Order, match: PreventedMatch, lost: Decimal) -> None:
    order.prevented += lost
    order.prevented_match_id = match.match_id
    order.trade_group_id = match.trade_group_id
    if order.remaining > 0:
        exchange.market_of(order).book.shrunk(order, lost)
        settle_lock(exchange, order)
        exchange.note(order)
    else:
        end_order(exchange, order, "EXPIRED_IN_MATCH")
