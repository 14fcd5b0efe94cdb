"""Checks an order against its symbol's filters and names the one that fails."""

from decimal import ROUND_CEILING, Decimal

from livespot.exchange.averages import AVERAGE_MINUTES
from livespot.exchange.filter_types import Filters, NotionalRange, Range
from livespot.exchange.model import (
    ALGO_TYPES,
    LIMIT_TYPES,
    STOP_TYPES,
    ZERO,
    ExchangeFilters,
    Rejection,
)
from livespot.exchange.open_orders import NO_EXCHANGE_FILTERS, Tally
from livespot.exchange.params import OrderRequest
from livespot.exchange.state import Account, Exchange, Market


def fail(name: str) -> Rejection:
    """The rejection for a failed filter."""
    return Rejection(-1013, f"Filter failure: {name}")


def check_order(exchange: Exchange, market: Market, request: OrderRequest) -> None:
    """All filters that look at one order alone; raises Rejection -1013 naming the filter.

    A quantity that is still unknown (None) is not checked.
    """
    rule, stop = market.spec.filters.price, request.stop_price
    is_limit = request.type in LIMIT_TYPES
    if is_limit and not in_range(rule, request.price):
        raise fail("PRICE_FILTER")
    if stop is not None and not in_range(rule, stop):
        raise fail("PRICE_FILTER")
    # A stop price is only a condition, and may lie as far away as the holder likes.
    if is_limit:
        _check_percent(exchange, market, request)
    if request.trailing_delta is not None:
        _check_trailing(market, request, request.trailing_delta)
    if request.qty is not None:
        check_qty(market, request, request.qty)
        _check_notional(exchange, market, request, request.qty)
    elif request.quote_qty > 0:
        _check_amount(market, request.quote_qty)
    if exchange.filters.max_assets:
        _check_assets(exchange, market, request)


def check_size(exchange: Exchange, market: Market, request: OrderRequest, qty: Decimal) -> None:
    """The filters that another quantity at the same price can break."""
    check_qty(market, request, qty)
    _check_notional(exchange, market, request, qty)


def check_qty(market: Market, request: OrderRequest, qty: Decimal) -> None:
    """The lot filters and the iceberg parts."""
    filters = market.spec.filters
    if qty <= 0 or not in_range(filters.lot, qty):
        raise fail("LOT_SIZE")
    if request.type == "MARKET" and not in_range(filters.market_lot, qty):
        raise fail("MARKET_LOT_SIZE")
    if request.iceberg_qty > 0:
        if not in_range(filters.lot, request.iceberg_qty):
            raise fail("LOT_SIZE")
        parts = (qty / request.iceberg_qty).to_integral_value(rounding=ROUND_CEILING)
        if filters.iceberg_parts is not None and parts > filters.iceberg_parts:
            raise fail("ICEBERG_PARTS")


def in_range(rule: Range | None, value: Decimal) -> bool:
    """True when the value is within the bounds and on the grid; zero disables a rule."""
    if rule is None:
        return True
    # Few values lie outside, so the bounds are asked first whether they are in force afterwards.
    if value < rule.low and rule.low > 0:
        return False
    if value > rule.high and rule.high > 0:
        return False
    return rule.step <= 0 or not value % rule.step


def check_counts(
    market: Market, account: Account, requests: tuple[OrderRequest, ...], *, lists: int = 0
) -> None:
    """Filters over all of the account's open orders on the symbol, plus the new ones."""
    algos = icebergs = 0
    for request in requests:
        algos += request.type in ALGO_TYPES
        icebergs += bool(request.iceberg_qty)
    added, held = (len(requests), algos, icebergs, lists), account.open
    _check_tally("", market.spec.filters, held.on(market.spec.symbol), added)
    if held.limits is not NO_EXCHANGE_FILTERS:
        _check_tally("EXCHANGE_", held.limits, held.total, added)


def _check_tally(
    scope: str, limits: Filters | ExchangeFilters, held: Tally, added: tuple[int, int, int, int]
) -> None:
    orders, algos, icebergs, lists = added
    most = limits.max_num_orders
    if orders and most is not None and held.orders + orders > most:
        raise fail(f"{scope}MAX_NUM_ORDERS")
    if algos and _exceeds(limits.max_num_algo_orders, held.algos + algos):
        raise fail(f"{scope}MAX_NUM_ALGO_ORDERS")
    if icebergs and _exceeds(limits.max_num_iceberg_orders, held.icebergs + icebergs):
        raise fail(f"{scope}MAX_NUM_ICEBERG_ORDERS")
    if lists and _exceeds(limits.max_num_order_lists, len(held.lists) + lists):
        raise fail(f"{scope}MAX_NUM_ORDER_LISTS")


def _exceeds(limit: int | None, count: int) -> bool:
    return limit is not None and count > limit


def check_position(market: Market, account: Account, request: OrderRequest) -> None:
    """MAX_POSITION: base held, plus open buys, plus this buy."""
    limit = market.spec.filters.max_position
    if limit is None or request.side == "SELL" or request.qty is None:
        return
    balance = account.balance(market.spec.base)
    buys = (
        order.remaining
        for order in account.open.orders(market.spec.symbol).values()
        if order.side == "BUY"
    )
    if balance.free + balance.locked + sum(buys, ZERO) + request.qty > limit:
        raise fail("MAX_POSITION")


def _check_percent(exchange: Exchange, market: Market, request: OrderRequest) -> None:
    price = request.price
    for rule in market.spec.filters.percent_prices:
        fair = market.filter_price(exchange.now_ms, rule.avg_price_mins)
        if fair is None:
            continue
        up, down = (
            (rule.bid_up, rule.bid_down) if request.side == "BUY" else (rule.ask_up, rule.ask_down)
        )
        if not fair * down <= price <= fair * up:
            raise fail("PERCENT_PRICE_BY_SIDE" if rule.by_side else "PERCENT_PRICE")


def _check_trailing(market: Market, request: OrderRequest, delta: int) -> None:
    rule = market.spec.filters.trailing_delta
    if rule is None:
        return
    above = (request.type in STOP_TYPES) == (request.side == "BUY")
    low, high = (rule.min_above, rule.max_above) if above else (rule.min_below, rule.max_below)
    if not low <= delta <= high:
        raise fail("TRAILING_DELTA")


def _check_notional(
    exchange: Exchange, market: Market, request: OrderRequest, qty: Decimal
) -> None:
    is_limit = request.type in LIMIT_TYPES
    stated = request.price if is_limit else request.stop_price
    if stated is not None and stated * qty <= 0:
        raise Rejection(-2010, "Price * QTY is zero or less.")
    for rule in market.spec.filters.notionals:
        price = stated or market.filter_price(exchange.now_ms, rule.avg_price_mins)
        if price is not None:
            _check_bounds(rule, price * qty, is_market=not is_limit)


def _check_amount(market: Market, amount: Decimal) -> None:
    for rule in market.spec.filters.notionals:
        _check_bounds(rule, amount, is_market=True)


def _check_assets(exchange: Exchange, market: Market, request: OrderRequest) -> None:
    """MAX_ASSET: what one order may move of its base and of its quote."""
    limits = exchange.filters.max_assets
    base, quote = limits.get(market.spec.base), limits.get(market.spec.quote)
    qty = request.qty or ZERO
    if base is not None and qty > base:
        raise fail("MAX_ASSET")
    if quote is None:
        return
    price = request.price if request.type in LIMIT_TYPES else request.stop_price
    if price is None:
        price = market.filter_price(exchange.now_ms, AVERAGE_MINUTES) or ZERO
    if max(price * qty, request.quote_qty) > quote:
        raise fail("MAX_ASSET")


def _check_bounds(rule: NotionalRange, notional: Decimal, *, is_market: bool) -> None:
    too_low = notional < rule.low and (rule.low_for_market or not is_market)
    too_high = (
        rule.high is not None
        and rule.high > 0
        and (rule.high_for_market or not is_market)
        and notional > rule.high
    )
    if too_low or too_high:
        raise fail(rule.name)
