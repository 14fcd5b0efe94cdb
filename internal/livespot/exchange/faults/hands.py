"""What somebody does in the account by hand, past every program: orders, cancels, a sale."""

from collections.abc import Iterator, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

from livespot.exchange.engine import Engine
from livespot.exchange.faults.plan import CancelByHand, HandVerb, OrderByHand, SaleByHand
from livespot.exchange.model import Rejection, SymbolSpec

_BPS = 10_000
_ZERO = Decimal(0)


def by_hand(engine: Engine, what: HandVerb, now_ms: int) -> str:
    """Do it at a market instant; what came of it in words, a refusal included."""
    try:
        match what:
            case OrderByHand():
                return _order(engine, what, now_ms)
            case CancelByHand():
                return f"{_cancelled(engine, what, now_ms)} orders cancelled"
            case SaleByHand():
                return _sale(engine, what, now_ms)
    except Rejection as error:
        # The journal tells it: a plan is written before anyone knows what will be possible.
        return f"not done: {error}"


def _order(engine: Engine, what: OrderByHand, now_ms: int) -> str:
    spec = engine.symbol(what.symbol)
    bid, ask = engine.best(what.symbol)
    best = bid if what.side == "BUY" else ask
    if best is None:
        return "not done: that side of the book is empty"
    params = {"symbol": what.symbol, "side": what.side, "newClientOrderId": what.client_id}
    price = best[0]
    if what.away_bps is None:
        params["type"] = "MARKET"
    else:
        away = -what.away_bps if what.side == "BUY" else what.away_bps
        price = _on_grid(price * (_BPS + away) / _BPS, spec.info, "PRICE_FILTER", "tickSize")
        params |= {"type": "LIMIT", "timeInForce": "GTC", "price": f"{price:f}"}
    params["quantity"] = f"{_lots(what.quote / price, spec):f}"
    placed = engine.place_order(what.account, params, now_ms)
    return f"order {placed['orderId']}"


def _sale(engine: Engine, what: SaleByHand, now_ms: int) -> str:
    cancelled = _cancelled(engine, what, now_ms)
    spec = engine.symbol(what.symbol)
    qty = _lots(_free(engine, what.account, spec.base), spec)
    if not qty:
        return f"{cancelled} orders cancelled, nothing to sell"
    params = {"symbol": what.symbol, "side": "SELL", "type": "MARKET", "quantity": f"{qty:f}"}
    engine.place_order(what.account, {**params, "newClientOrderId": what.client_id}, now_ms)
    return f"{cancelled} orders cancelled, {qty:f} sold"


def _cancelled(engine: Engine, what: CancelByHand | SaleByHand, now_ms: int) -> int:
    standing = engine.open_orders(what.account, {"symbol": what.symbol})
    if standing:
        engine.cancel_open_orders(what.account, {"symbol": what.symbol}, now_ms)
    return len(standing)


def _free(engine: Engine, account: str, asset: str) -> Decimal:
    rows = engine.account_info(account, {})["balances"]
    return sum((Decimal(row["free"]) for row in rows if row["asset"] == asset), _ZERO)


def _lots(qty: Decimal, spec: SymbolSpec) -> Decimal:
    return _on_grid(qty, spec.info, "LOT_SIZE", "stepSize")


def _on_grid(value: Decimal, info: Mapping[str, Any], kind: str, member: str) -> Decimal:
    """Rounded down to the step that a filter asks for."""
    for step in _steps(info, kind, member):
        return (value / step).to_integral_value(ROUND_DOWN) * step
    return value


def _steps(info: Mapping[str, Any], kind: str, member: str) -> Iterator[Decimal]:
    for row in info["filters"]:
        if row["filterType"] == kind and Decimal(row[member]):
            yield Decimal(row[member])
