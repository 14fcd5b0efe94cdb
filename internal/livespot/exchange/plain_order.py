"""Reads at one glance what most placements are: a limit order that sends nothing unusual."""

import re
from collections.abc import Mapping
from decimal import Decimal

from livespot.exchange.model import ZERO, Side, SymbolSpec
from livespot.exchange.params import RESPONSES, TIMES_IN_FORCE, TRANSPORT, OrderRequest

_NAMES = TRANSPORT | {
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "price",
    "newClientOrderId",
    "newOrderRespType",
}
_SIDES: Mapping[str, Side] = {"BUY": "BUY", "SELL": "SELL"}
# Fewer digits than an amount may have, so that neither size nor places need a second look.
_AMOUNT = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,8})?").fullmatch
_CLIENT_ID = re.compile(r"[a-zA-Z0-9-_]{1,36}").fullmatch
_LEAST_PLACES = 8


def read_plain(raw: Mapping[str, str], spec: SymbolSpec) -> OrderRequest | None:
    """What `read_order` makes of a plain limit order; None for everything it must judge itself.

    Whatever is wrong, missing or out of the ordinary counts as such, so that there is only one
    place that words refusals. The symbol and the transport's own parameters are not looked at.
    """
    if raw.get("type") != "LIMIT" or not _NAMES.issuperset(raw):
        return None
    side, client_id = _SIDES.get(raw.get("side", "")), raw.get("newClientOrderId")
    time_in_force = raw.get("timeInForce")
    if (
        side is None
        or time_in_force not in TIMES_IN_FORCE
        or raw.get("newOrderRespType", "ACK") not in RESPONSES
        or (client_id is not None and _CLIENT_ID(client_id) is None)
        or spec.base_precision < _LEAST_PLACES
        or spec.quote_precision < _LEAST_PLACES
    ):
        return None
    qty, price = raw.get("quantity", ""), raw.get("price", "")
    if _AMOUNT(qty) is None or _AMOUNT(price) is None:
        return None
    return OrderRequest(
        side,
        "LIMIT",
        time_in_force,
        Decimal(qty),
        ZERO,
        Decimal(price) or ZERO,
        None,
        None,
        ZERO,
        None,
        None,
        client_id,
        spec.default_stp,
    )
