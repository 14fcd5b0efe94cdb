"""Read the parameters of order lists into a plan: a working order and its legs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from livespot.exchange.model import STOP_TYPES, TAKE_TYPES, ListKind, Rejection, Side, SymbolSpec
from livespot.exchange.params import (
    Leg,
    OrderRequest,
    Params,
    missing,
    read_leg,
    read_response_type,
    read_side,
    read_stp,
)

_WORKING_TYPES = frozenset({"LIMIT", "LIMIT_MAKER"})
_OCO_TYPES = STOP_TYPES | TAKE_TYPES | {"LIMIT_MAKER"}
_LEGACY_NAMES = {
    "price": "{take}Price",
    "limitClientOrderId": "{take}ClientOrderId",
    "limitIcebergQty": "{take}IcebergQty",
    "limitStrategyId": "{take}StrategyId",
    "limitStrategyType": "{take}StrategyType",
    "stopPrice": "{stop}StopPrice",
    "trailingDelta": "{stop}TrailingDelta",
    "stopLimitPrice": "{stop}Price",
    "stopLimitTimeInForce": "{stop}TimeInForce",
    "stopClientOrderId": "{stop}ClientOrderId",
    "stopIcebergQty": "{stop}IcebergQty",
    "stopStrategyId": "{stop}StrategyId",
    "stopStrategyType": "{stop}StrategyType",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPlan:
    """A list as asked for. `legs` come stop first; without `working` it is a plain OCO.

    `pays`: the legs sell what the working order buys, and have no quantity yet.
    """

    contingency: Literal["OCO", "OTO"]
    working: OrderRequest | None
    legs: tuple[OrderRequest, ...]
    pays: bool
    client_id: str | None
    response_type: str

    @property
    def requests(self) -> tuple[OrderRequest, ...]:
        """All orders of the list, in the order they get their ids."""
        return ((self.working,) if self.working else ()) + self.legs


def read_list(raw: Mapping[str, str], spec: SymbolSpec, kind: ListKind) -> ListPlan:
    """The plan of a new list; raises Rejection for parameters that do not fit the kind."""
    _check_allowed(spec, kind)
    if kind != "oco_legacy":
        return _read(Params(raw), spec, kind)
    names = _modern_names(raw)
    try:
        modern = _modern(raw, names)
        return _read(Params(modern, implied=len(modern) - len(raw)), spec, kind)
    except Rejection as error:
        # The caller must find his own names in the text, not those they were translated to.
        text = error.msg
        for old, new in names.items():
            text = text.replace(f"'{new}'", f"'{old}'")
        raise Rejection(error.code, text) from error


def _read(params: Params, spec: SymbolSpec, kind: ListKind) -> ListPlan:
    params.need("symbol")
    stp = read_stp(params, spec)
    is_oco = kind in ("oco", "oco_legacy")
    working = None if is_oco else _working(params, spec, stp, pays=kind in ("opo", "opoco"))
    prefix = "" if is_oco else "pending"
    legs = _legs(params, spec, kind, prefix, stp)
    if working is not None and kind in ("opo", "opoco"):
        _check_pays(working, legs)
    plan = ListPlan(
        contingency="OCO" if is_oco else "OTO",
        working=working,
        legs=legs,
        pays=kind in ("opo", "opoco"),
        client_id=params.client_id("listClientOrderId"),
        response_type=read_response_type(params) or "RESULT",
    )
    params.finish()
    return plan


def _check_allowed(spec: SymbolSpec, kind: ListKind) -> None:
    if kind in ("oco", "oco_legacy", "otoco", "opoco") and not spec.oco_allowed:
        raise Rejection(-2010, "OCO orders are not supported for this symbol")
    if kind in ("oto", "otoco", "opo", "opoco") and not spec.oto_allowed:
        raise Rejection(-2010, "OTO orders are not supported for this symbol.")
    if kind in ("opo", "opoco") and not spec.opo_allowed:
        raise Rejection(-2010, "OPO orders are not supported for this symbol.")


def _modern_names(raw: Mapping[str, str]) -> dict[str, str]:
    take, stop = ("above", "below") if raw.get("side") == "SELL" else ("below", "above")
    return {old: new.format(take=take, stop=stop) for old, new in _LEGACY_NAMES.items()}


def _modern(raw: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    if "stopLimitPrice" in raw and "stopLimitTimeInForce" not in raw:
        text = "Combination of optional parameters invalid."
        raise Rejection(-1128, text)
    for name in ("price", "stopPrice"):
        if not raw.get(name):
            raise missing(name)
    renamed = {
        # A name of the newer call means nothing here and must stay unread.
        names.get(name, f"legacy {name}" if name.startswith(("above", "below")) else name): value
        for name, value in raw.items()
    }
    take, stop = (names[name].removesuffix("Price") for name in ("price", "stopLimitPrice"))
    renamed[f"{take}Type"] = "LIMIT_MAKER"
    renamed[f"{stop}Type"] = "STOP_LOSS_LIMIT" if "stopLimitPrice" in raw else "STOP_LOSS"
    return renamed


def _working(params: Params, spec: SymbolSpec, stp: str, *, pays: bool) -> OrderRequest:
    if pays:
        pegged = params.is_sent("workingPegPriceType")
        for name in ("workingQuantity",) if pegged else ("workingQuantity", "workingPrice"):
            if not params.is_sent(name):
                raise Rejection(-1224, f"Working order must include the '{name}' tag.")
    order_type = params.need("workingType")
    if order_type not in _WORKING_TYPES:
        raise Rejection(-1116, "Invalid orderType.")
    side = read_side(params, "workingSide")
    if pays and side != "BUY":
        raise Rejection(-1222, "Working order in an OPO list must be a bid.")
    qty = _quantity(params, spec, "workingQuantity")
    return read_leg(
        params, spec, Leg(prefix="working", side=side, type=order_type, qty=qty, stp=stp)
    )


def _legs(
    params: Params, spec: SymbolSpec, kind: ListKind, prefix: str, stp: str
) -> tuple[OrderRequest, ...]:
    side = read_side(params, "pendingSide" if prefix else "side")
    qty: Decimal | None = None
    if kind in ("opo", "opoco"):
        if params.text("pendingQuantity") is not None:
            text = "Pending orders should not include the 'pendingQuantity' tag."
            raise Rejection(-1225, text)
    else:
        qty = _quantity(params, spec, "pendingQuantity" if prefix else "quantity")
    if kind in ("oto", "opo"):
        leg = Leg(prefix=prefix, side=side, type=params.need("pendingType"), qty=qty, stp=stp)
        return (read_leg(params, spec, leg),)
    above_name, below_name = ("pendingAbove", "pendingBelow") if prefix else ("above", "below")
    above = _leg(params, spec, above_name, side, qty, stp)
    if prefix and not params.is_sent(f"{below_name}Type"):
        return (above,)
    below = _leg(params, spec, below_name, side, qty, stp)
    check_pair(above, below)
    return (below, above) if below.type in STOP_TYPES else (above, below)


def _leg(
    params: Params, spec: SymbolSpec, prefix: str, side: Side, qty: Decimal | None, stp: str
) -> OrderRequest:
    order_type = params.need(f"{prefix}Type")
    if order_type not in _OCO_TYPES:
        raise Rejection(-1158, "Order type not supported in OCO.")
    return read_leg(params, spec, Leg(prefix=prefix, side=side, type=order_type, qty=qty, stp=stp))


def check_pair(above: OrderRequest, below: OrderRequest) -> None:
    """The leg types of an OCO, each on its own side of the market."""
    if above.type == below.type == "LIMIT_MAKER":
        raise Rejection(-1168, "At least one OCO order must be contingent.")
    buys = above.side == "BUY"
    wrong_take, wrong_stop = (above, below) if buys else (below, above)
    if wrong_take.type == "LIMIT_MAKER":
        raise (
            Rejection(-1165, "A limit order in a buy OCO must be below.")
            if buys
            else Rejection(-1166, "A limit order in a sell OCO must be above.")
        )
    if wrong_take.type in TAKE_TYPES:
        raise (
            Rejection(-1198, "A take profit order in a buy OCO must be below.")
            if buys
            else Rejection(-1199, "A take profit order in a sell OCO must be above.")
        )
    if wrong_stop.type in STOP_TYPES:
        raise (
            Rejection(-1196, "A stop loss order in a buy OCO must be above.")
            if buys
            else Rejection(-1197, "A stop loss order in a sell OCO must be below.")
        )


def _check_pays(working: OrderRequest, legs: tuple[OrderRequest, ...]) -> None:
    if any(leg.side == working.side for leg in legs):
        raise Rejection(-1223, "Pending orders in an OPO list must be asks.")


def _quantity(params: Params, spec: SymbolSpec, name: str) -> Decimal | None:
    params.need(name)
    return params.decimal(name, spec.base_precision)
