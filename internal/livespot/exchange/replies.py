"""Engine state as the JSON bodies of the exchange's order, list and account endpoints."""

from decimal import Decimal

from livespot.exchange.event_json import decimal_text
from livespot.exchange.model import (
    ALGO_TYPES,
    ZERO,
    Amendment,
    Fill,
    Json,
    Order,
    OrderList,
    PreventedMatch,
    Rates,
    Side,
    rate_of,
)
from livespot.exchange.specs import asset_filter_rows, exchange_filter_rows
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
    _describe(body, order)
    body["workingTime"] = order.working_ms
    _add_extras(body, order)
    if response_type == "FULL":
        body["fills"] = [_fill(fill) for fill in order.fills]
    _add_taken(body, order)
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
    _describe(body, order)
    _add_extras(body, order)
    _add_outcome(body, order)
    return body


def order_query(order: Order) -> Json:
    """One order as the query endpoints show it."""
    body: Json = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "price": decimal_text(order.shown_price),
    }
    body |= _pegging(order)
    body |= {
        "origQty": decimal_text(order.orig_qty or ZERO),
        "executedQty": decimal_text(order.executed),
        "cummulativeQuoteQty": decimal_text(order.cum_quote),
    }
    body |= _terms(order)
    body["stopPrice"] = decimal_text(order.stop_price or ZERO)
    body |= _trailing(order)
    body |= {
        "icebergQty": decimal_text(order.iceberg_qty),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": is_on_book(order) or (not order.is_open and order.working_ms >= 0),
        "workingTime": order.working_ms,
        "origQuoteOrderQty": decimal_text(order.quote_qty),
    }
    body |= _strategy(order)
    _add_outcome(body, order)
    return body


def amend_reply(exchange: Exchange, order: Order, old_client_id: str, execution_id: int) -> Json:
    """The answer to an amend; a member of a list shows the list too."""
    amended: Json = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "origClientOrderId": old_client_id,
        "clientOrderId": order.client_id,
        "price": decimal_text(order.shown_price),
    }
    amended |= _pegging(order)
    amended |= {
        "qty": decimal_text(order.orig_qty or ZERO),
        "executedQty": decimal_text(order.executed),
        "preventedQty": decimal_text(order.prevented),
        "quoteOrderQty": decimal_text(order.quote_qty),
        "cumulativeQuoteQty": decimal_text(order.cum_quote),
    }
    amended |= _terms(order) | _trigger(order)
    if order.working_ms >= 0:
        amended["workingTime"] = order.working_ms
    _add_extras(amended, order)
    amended["selfTradePreventionMode"] = order.stp
    body: Json = {
        "transactTime": exchange.now_ms,
        "executionId": execution_id,
        "amendedOrder": amended,
    }
    order_list = exchange.list_of(order)
    if order_list is None:
        return body
    state = list_query(exchange, order_list)
    del state["listStatusType"], state["transactionTime"]
    return body | {"listStatus": state}


def amendment_row(order: Order, amendment: Amendment) -> Json:
    """One row of an order's amendments."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "executionId": amendment.execution_id,
        "origClientOrderId": amendment.old_client_id,
        "newClientOrderId": amendment.new_client_id,
        "origQty": decimal_text(amendment.old_qty),
        "newQty": decimal_text(amendment.new_qty),
        "time": amendment.time_ms,
    }


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


def prevented_match(match: PreventedMatch) -> Json:
    """One row of the account's prevented matches."""
    body: Json = {
        "symbol": match.symbol,
        "preventedMatchId": match.match_id,
        "takerOrderId": match.taker_order_id,
        "makerSymbol": match.maker_symbol,
        "makerOrderId": match.maker_order_id,
    }
    if match.trade_group_id is not None:
        body["tradeGroupId"] = match.trade_group_id
    body |= {"selfTradePreventionMode": match.mode, "price": decimal_text(match.price)}
    return body | _prevented_quantities(match) | {"transactTime": match.time_ms}


def filters_body(exchange: Exchange, market: Market) -> Json:
    """Every filter that bears on an order of the account on one symbol."""
    spec = market.spec
    moved = (spec.base, spec.quote)
    return {
        "exchangeFilters": exchange_filter_rows(exchange.filters),
        "symbolFilters": list(spec.info["filters"]),
        "assetFilters": [
            row for row in asset_filter_rows(exchange.filters) if row["asset"] in moved
        ],
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
        "canTrade": account.spec.can_trade,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": account.updated_ms,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": list(account.spec.permissions),
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


def _describe(body: Json, order: Order) -> None:
    """Append what an order asks for and what has become of it; every reply has this part."""
    if order.peg is None:
        body["price"] = decimal_text(order.price)
    else:
        body["price"] = decimal_text(order.shown_price)
        body |= _pegging(order)
    if order.orig_qty is not None:
        body["origQty"] = decimal_text(order.orig_qty)
    body["executedQty"] = decimal_text(order.executed)
    body["origQuoteOrderQty"] = decimal_text(order.quote_qty)
    body["cummulativeQuoteQty"] = decimal_text(order.cum_quote)
    body["status"] = order.status
    body["timeInForce"] = order.time_in_force
    body["type"] = order.type
    body["side"] = order.side
    if order.type in ALGO_TYPES:
        body |= _trigger(order)


def _pegging(order: Order) -> Json:
    if order.peg is None:
        return {}
    body: Json = {"pegPriceType": order.peg.price_type}
    if order.peg.offset is not None:
        body |= {"pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": order.peg.offset}
    if order.pegged_price is not None:
        body["peggedPrice"] = decimal_text(order.pegged_price)
    return body


def _terms(order: Order) -> Json:
    return {
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }


def _trigger(order: Order) -> Json:
    stop = {} if order.stop_price is None else {"stopPrice": decimal_text(order.stop_price)}
    return stop | _trailing(order)


def _trailing(order: Order) -> Json:
    if order.trailing_delta is None:
        return {}
    return {"trailingDelta": order.trailing_delta, "trailingTime": order.trailing_ms}


def _add_extras(body: Json, order: Order) -> None:
    if order.iceberg_qty:
        body["icebergQty"] = decimal_text(order.iceberg_qty)
    if order.strategy_id is not None or order.strategy_type is not None:
        body |= _strategy(order)


def _strategy(order: Order) -> Json:
    body: Json = {}
    if order.strategy_id is not None:
        body["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        body["strategyType"] = order.strategy_type
    return body


def _add_taken(body: Json, order: Order) -> None:
    """What ends the answer to a placement: here the prevented matches are told one by one."""
    if order.prevented_matches:
        body["preventedMatches"] = [_prevented_row(match) for match in order.prevented_matches]
    body["selfTradePreventionMode"] = order.stp
    if order.prevented > 0:
        if order.trade_group_id is not None:
            body["tradeGroupId"] = order.trade_group_id
        body["preventedQuantity"] = decimal_text(order.prevented)
    if order.expiry_reason != "NONE":
        body["expiryReason"] = order.expiry_reason


def _prevented_row(match: PreventedMatch) -> Json:
    body: Json = {
        "preventedMatchId": match.match_id,
        "makerSymbol": match.maker_symbol,
        "makerOrderId": match.maker_order_id,
        "price": decimal_text(match.price),
    }
    return body | _prevented_quantities(match)


def _prevented_quantities(match: PreventedMatch) -> Json:
    pairs = (
        ("takerPreventedQuantity", match.taker_qty),
        ("makerPreventedQuantity", match.maker_qty),
    )
    return {name: decimal_text(qty) for name, qty in pairs if qty is not None}


def _add_outcome(body: Json, order: Order) -> None:
    """What ends every order body: its prevention mode, what was prevented, why it expired."""
    body["selfTradePreventionMode"] = order.stp
    if order.prevented_match_id is not None:
        body["preventedMatchId"] = order.prevented_match_id
        body["preventedQuantity"] = decimal_text(order.prevented)
    if order.expiry_reason != "NONE":
        body["expiryReason"] = order.expiry_reason


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
