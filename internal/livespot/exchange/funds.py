"""Moves money: locks, fills and commissions, always between two named pockets."""

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from livespot.exchange.model import NO_LIST, OPEN_STATUSES, ZERO, Lock, Order, Rejection
from livespot.exchange.state import Account, Exchange, Market

UNIT = Decimal("0.00000001")
INSUFFICIENT = "Account has insufficient balance for requested action."


def down(amount: Decimal) -> Decimal:
    """Rounded down to the exchange's eight places."""
    return amount.quantize(UNIT, rounding=ROUND_DOWN)


def up(amount: Decimal) -> Decimal:
    """Rounded up to the exchange's eight places."""
    return amount.quantize(UNIT, rounding=ROUND_UP)


def deposit(exchange: Exchange, account: Account, asset: str, delta: Decimal) -> None:
    """Add to or take from the free amount.

    Raises:
        ValueError: more would be taken than is free.
    """
    balance = account.balance(asset)
    if balance.free + delta < 0:
        raise ValueError(f"cannot take {-delta!r} of {balance.free!r} free {asset}")
    balance.free += delta
    exchange.house[asset] = exchange.house.get(asset, ZERO) - delta
    account.touch(asset)


def require_free(account: Account, asset: str, amount: Decimal) -> None:
    """Raise Rejection -2010 when less than `amount` is free."""
    if account.balance(asset).free < amount:
        raise Rejection(-2010, INSUFFICIENT)


def set_lock(account: Account, lock: Lock, target: Decimal) -> None:
    """Move funds between free and locked until the lock holds `target`.

    Raises:
        Rejection: -2010, less than the difference is free.
    """
    change = target - lock.amount
    if not change:
        return
    asset = lock.asset
    balance = account.balance(asset)
    free = balance.free
    if free < change:
        raise Rejection(-2010, INSUFFICIENT)
    balance.free = free - change
    balance.locked += change
    lock.amount = target
    account.touch(asset)


def needed(order: Order) -> Decimal:
    """What an order must hold locked for its remaining quantity."""
    if order.status not in OPEN_STATUSES:
        return ZERO
    if order.side == "SELL":
        return order.remaining
    if order.quote_qty > 0:
        return order.quote_qty - order.cum_quote
    return up(order.lock_price * order.remaining)


def settle_lock(exchange: Exchange, order: Order) -> None:
    """Release what neither this order nor a list sibling sharing its lock still needs."""
    order_list = None if order.list_id == NO_LIST else exchange.lists[order.list_id]
    if order_list is None:
        target = needed(order)
    elif order.lock is order_list.bought and not order_list.armed:
        return
    else:
        sharers = exchange.members(order_list)
        target = max(needed(sharer) for sharer in (order, *sharers) if sharer.lock is order.lock)
    if target < order.lock.amount:
        set_lock(exchange.accounts[order.account_id], order.lock, target)


def affordable(exchange: Exchange, order: Order, price: Decimal) -> Decimal:
    """The quantity a buyer can still pay for at a price; a seller is always covered."""
    remaining = order.remaining
    if order.side == "SELL":
        return remaining
    cost, locked = remaining * price, order.lock.amount
    if cost <= locked:
        return remaining
    account = exchange.accounts[order.account_id]
    funds = locked + account.balance(order.lock.asset).free
    if cost <= funds:
        return remaining
    spec = exchange.market_of(order).spec
    step = spec.filters.lot.step if spec.filters.lot else ZERO
    return floor_to(funds / price, step)


def floor_to(amount: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` not above `amount`; eight places without a step."""
    if step <= 0:
        return down(amount)
    return (amount / step).to_integral_value(rounding=ROUND_DOWN) * step


def pay(exchange: Exchange, order: Order, amount: Decimal, *, to_house: bool) -> None:
    """Take `amount` of the order's funding asset, from its lock first and then from free."""
    account, lock = exchange.accounts[order.account_id], order.lock
    balance = account.balance(lock.asset)
    from_lock = min(lock.amount, amount)
    lock.amount -= from_lock
    balance.locked -= from_lock
    balance.free -= amount - from_lock
    account.touch(lock.asset)
    if to_house:
        _book(exchange.house, lock.asset, amount)


def receive(
    exchange: Exchange, order: Order, amount: Decimal, *, is_maker: bool, from_house: bool
) -> tuple[Decimal, str]:
    """Credit what a fill brought, less commission; returns (commission, its asset).

    What the working order of a paying list buys stays locked for the legs it will pay for, and
    its commission comes from other free funds where they cover it; never where the discount asset
    itself was bought.
    """
    market = exchange.markets[order.symbol]
    account = exchange.accounts[order.account_id]
    asset = market.spec.base if order.side == "BUY" else market.spec.quote
    if from_house:
        _book(exchange.house, asset, -amount)
    commission, paid_in = commission_of(exchange, order, amount, is_maker=is_maker)
    balance = account.balance(asset)
    bought = None if order.list_id == NO_LIST else _bought_lock(exchange, order)
    if bought is None:
        balance.free += amount
        payer = balance if paid_in == asset else account.balance(paid_in)
        payer.free -= commission
    else:
        from_free = paid_in != asset or (
            asset != account.spec.discount_asset and balance.free >= commission
        )
        kept = amount if from_free else amount - commission
        balance.locked += kept
        bought.amount += kept
        if from_free:
            account.balance(paid_in).free -= commission
    _book(exchange.fees, paid_in, commission)
    account.touch(asset)
    if paid_in != asset:
        account.touch(paid_in)
    return commission, paid_in


def hand_over(
    exchange: Exchange, buyer: Order, seller: Order, qty: Decimal, quote: Decimal
) -> None:
    """Move what a prevented match would have traded between two accounts, free of commission."""
    pay(exchange, buyer, quote, to_house=False)
    pay(exchange, seller, qty, to_house=False)
    spec = exchange.market_of(buyer).spec
    for order, asset, amount in ((buyer, spec.base, qty), (seller, spec.quote, quote)):
        account = exchange.accounts[order.account_id]
        account.balance(asset).free += amount
        account.touch(asset)
        order.transferred += qty


def _bought_lock(exchange: Exchange, order: Order) -> Lock | None:
    order_list = exchange.list_of(order)
    if order_list is None or order_list.working_id != order.order_id:
        return None
    return order_list.bought


def commission_of(
    exchange: Exchange, order: Order, received: Decimal, *, is_maker: bool
) -> tuple[Decimal, str]:
    """(commission, asset) of a fill that brings `received`.

    Each of standard, tax and special takes (maker or taker + buyer or seller) of the received
    amount. Paid in the discount asset only the standard part is multiplied by the discount;
    with too little of that asset everything is taken from what was received.
    """
    market = exchange.markets[order.symbol]
    account = exchange.accounts[order.account_id]
    spec = account.spec
    asset = market.spec.base if order.side == "BUY" else market.spec.quote
    rate, further = account.rates(order.side, is_maker=is_maker)
    standard, extra = received * rate, received * further
    if spec.discount_enabled:
        price = price_in(exchange, asset, spec.discount_asset, market)
        if price is not None:
            discounted = down((standard * spec.discount + extra) * price)
            if account.balance(spec.discount_asset).free >= discounted:
                return discounted, spec.discount_asset
    return down(standard + extra), asset


def price_in(exchange: Exchange, asset: str, target: str, market: Market) -> Decimal | None:
    """How much of `target` one `asset` is worth by last prices; None when unknown."""
    if asset == target:
        return Decimal(1)
    direct = _last(exchange, target, asset)
    if direct is not None:
        return 1 / direct
    inverse = _last(exchange, asset, target)
    if inverse is not None:
        return inverse
    quoted = _last(exchange, target, market.spec.quote)
    if asset == market.spec.base and market.last_price is not None and quoted is not None:
        return market.last_price / quoted
    return None


def _last(exchange: Exchange, base: str, quote: str) -> Decimal | None:
    market = exchange.pairs.get((base, quote))
    return market.last_price if market is not None else None


def _book(pocket: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    pocket[asset] = pocket.get(asset, ZERO) + amount
