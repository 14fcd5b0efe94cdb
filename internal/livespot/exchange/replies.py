"""Engine state as the JSON bodies of the exchange's order, list and account endpoints."""

from decimal import Decimal

from livespot.exchange.event_json import decimal_text
from livespot.exchange.funds import rate_of
from livespot.exchange.model import ZERO, Fill, Json, Order, OrderList, Rates, Side
from livespot.exchange.state import Account, Exchange, Market, is_on_book

_FULL_BY_DEFAULT = frozenset({"MARKET", "LIMIT"})
_BIPS = 10_000


def order_reply(order: Order, response_type: str | None) -> Json:
    """The answer to a placement: ACK, RESULT or FULL, by the type's default when not asked."""
    if response_type is None:
        response_type = "FULL" if order.type in _FULL_BY_DEFAULT else "ACK"
    body: Json = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ms,
    }
    if response_type == "ACK":
        return body
    body |= _amounts(order) | _terms(order)
    body["workingTime"] = order.working_ms
    body["selfTradePreventionMode"] = order.stp
    body |= _conditional(order)
    if response_type == "FULL":
        body["fills"] = [_fill(fill) for fill in order.fills]
    return body


def cancel_reply(order: Order) -> Json:
    """The answer to a cancel: the old id as `origClientOrderId`, the cancel's as the new one."""
    body: Json = {
        "symbol": order.symbol,
        "origClientOrderId": order.cancelled_client_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ms,
    }
    body |= _amounts(order) | _terms(order)
    body["selfTradePreventionMode"] = order.stp
    return body | _conditional(order)


def order_query(order: Order) -> Json:
    """One order as the query endpoints show it."""
    body: Json = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "price": decimal_text(order.price),
        "origQty": decimal_text(order.orig_qty or ZERO),
        "executedQty": decimal_text(order.executed),
        "cummulativeQuoteQty": decimal_text(order.cum_quote),
    }
    body |= _terms(order)
    body |= {
        "stopPrice": decimal_text(order.stop_price or ZERO),
        "icebergQty": decimal_text(order.iceberg_qty),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": is_on_book(order) or (not order.is_open and order.working_ms >= 0),
        "workingTime": order.working_ms,
        "origQuoteOrderQty": decimal_text(order.quote_qty),
        "selfTradePreventionMode": order.stp,
    }
    return body | _conditional(order)


def list_query(exchange: Exchange, order_list: OrderList) -> Json:
    """One list as the query endpoints show it."""
    return {
        "orderListId": order_list.list_id,
        "contingencyType": order_list.contingency,
        "listStatusType": order_list.status_type,
        "listOrderStatus": order_list.order_status,
        "listClientOrderId": order_list.client_id,
        "transactionTime": order_list.transaction_ms,
        "symbol": order_list.symbol,
        "orders": [
            {
                "symbol": order.symbol,
                "orderId": order.order_id,
                "clientOrderId": order.cancelled_client_id or order.client_id,
            }
            for order in exchange.members(order_list)
        ],
    }


def list_reply(exchange: Exchange, order_list: OrderList, response_type: str) -> Json:
    """The answer to a list placement, one report per order."""
    reports = [order_reply(order, response_type) for order in exchange.members(order_list)]
    return list_query(exchange, order_list) | {"orderReports": reports}


def list_cancel_reply(exchange: Exchange, order_list: OrderList, ended: list[Order]) -> Json:
    """The answer to cancelling a list, with a report for each order that was still open."""
    reports = [cancel_reply(order) for order in ended]
    return list_query(exchange, order_list) | {"orderReports": reports}


def trade_row(symbol: str, fill: Fill) -> Json:
    """One row of the account's trades."""
    return {
        "symbol": symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": fill.list_id,
        "price": decimal_text(fill.price),
        "qty": decimal_text(fill.qty),
        "quoteQty": decimal_text(fill.quote_qty),
        "commission": decimal_text(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "isBuyer": fill.is_buyer,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account_body(account: Account, *, omit_zero: bool) -> Json:
    """The account endpoint's answer."""
    rates = account.spec.standard
    balances = [
        {"asset": asset, "free": decimal_text(held.free), "locked": decimal_text(held.locked)}
        for asset, held in account.balances.items()
        if not omit_zero or held.free or held.locked
    ]
    return {
        "makerCommission": _bips(rates.maker),
        "takerCommission": _bips(rates.taker),
        "buyerCommission": _bips(rates.buyer),
        "sellerCommission": _bips(rates.seller),
        "commissionRates": _rates(rates),
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": account.updated_ms,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": account.spec.uid,
    }


def commission_body(account: Account, market: Market) -> Json:
    """The commission endpoint's answer for one symbol."""
    spec = account.spec
    return {
        "symbol": market.spec.symbol,
        "standardCommission": _rates(spec.standard),
        "specialCommission": _rates(spec.special),
        "taxCommission": _rates(spec.tax),
        "discount": _discount(account),
    }


def order_commission_body(account: Account, side: Side) -> Json:
    """The answer to a test order that asks for its commission rates."""
    spec = account.spec
    kinds = (
        ("standardCommissionForOrder", spec.standard),
        ("specialCommissionForOrder", spec.special),
        ("taxCommissionForOrder", spec.tax),
    )
    body: Json = {
        name: {
            "maker": decimal_text(rate_of(rates, side, is_maker=True)),
            "taker": decimal_text(rate_of(rates, side, is_maker=False)),
        }
        for name, rates in kinds
    }
    return body | {"discount": _discount(account)}


def _amounts(order: Order) -> Json:
    body = {"price": decimal_text(order.price)}
    if order.orig_qty is not None:
        body["origQty"] = decimal_text(order.orig_qty)
    return body | {
        "executedQty": decimal_text(order.executed),
        "origQuoteOrderQty": decimal_text(order.quote_qty),
        "cummulativeQuoteQty": decimal_text(order.cum_quote),
    }


def _terms(order: Order) -> Json:
    return {
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }


def _conditional(order: Order) -> Json:
    body: Json = {}
    if order.stop_price is not None:
        body["stopPrice"] = decimal_text(order.stop_price)
    if order.trailing_delta is not None:
        body["trailingDelta"] = order.trailing_delta
        body["trailingTime"] = order.trailing_ms
    if order.iceberg_qty > 0:
        body["icebergQty"] = decimal_text(order.iceberg_qty)
    if order.strategy_id is not None:
        body["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        body["strategyType"] = order.strategy_type
    if order.prevented_match_id is not None:
        body["preventedMatchId"] = order.prevented_match_id
        body["preventedQuantity"] = decimal_text(order.prevented)
    if order.expiry_reason != "NONE":
        body["expiryReason"] = order.expiry_reason
    return body


def _fill(fill: Fill) -> Json:
    return {
        "price": decimal_text(fill.price),
        "qty": decimal_text(fill.qty),
        "commission": decimal_text(fill.commission),
        "commissionAsset": fill.commission_asset,
        "tradeId": fill.trade_id,
    }


def _rates(rates: Rates) -> Json:
    return {
        "maker": decimal_text(rates.maker),
        "taker": decimal_text(rates.taker),
        "buyer": decimal_text(rates.buyer),
        "seller": decimal_text(rates.seller),
    }


def _discount(account: Account) -> Json:
    spec = account.spec
    return {
        "enabledForAccount": spec.discount_enabled,
        "enabledForSymbol": True,
        "discountAsset": spec.discount_asset,
        "discount": decimal_text(spec.discount),
    }


def _bips(rate: Decimal) -> int:
    return int(rate * _BIPS)
