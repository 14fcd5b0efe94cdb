"""Read raw request parameters the way the exchange does, and name what is wrong with them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Literal, TypeAlias, cast

import msgspec

from livespot.exchange.model import (
    ALGO_TYPES,
    LIMIT_TYPES,
    ORDER_TYPES,
    ZERO,
    Peg,
    Rejection,
    Side,
    SymbolSpec,
)

_DECIMAL = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
_LONG = re.compile(r"^[0-9]{1,20}$")
_CLIENT_ID = re.compile(r"^[a-zA-Z0-9-_]{1,36}$")
TIMES_IN_FORCE = frozenset({"GTC", "IOC", "FOK"})
RESPONSES = frozenset({"ACK", "RESULT", "FULL"})
TRANSPORT = frozenset({"timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits"})
_MIN_STRATEGY_TYPE = 1_000_000
_MAX_LONG = 2**63 - 1
_MAX_INT = 2**31 - 1
# Amounts travel as whole numbers of the eighth place.
_MAX_DECIMAL = Decimal(_MAX_LONG).scaleb(-8)
_PEG_TYPES = frozenset({"PRIMARY_PEG", "MARKET_PEG"})
_MAX_PEG_OFFSET = 100
_RARE_MEMBERS = (
    "PegPriceType",
    "PegOffsetType",
    "PegOffsetValue",
    "StopPrice",
    "TrailingDelta",
    "StrategyType",
    "StrategyId",
    "IcebergQty",
)
_BAD_PEG = "This price peg cannot be used with this order type."
PegType: TypeAlias = Literal["PRIMARY_PEG", "MARKET_PEG"]


class Params:
    """A request's parameters; remembers which were read so that strays can be refused."""

    def __init__(self, raw: Mapping[str, str], implied: int = 0) -> None:
        """`implied` is how many of the parameters the caller did not send himself."""
        self._raw = raw
        self._implied = implied
        self._read = set(TRANSPORT)

    def text(self, name: str) -> str | None:
        """The value, or None when it was not sent; -1105 when sent empty."""
        value = self._raw.get(name)
        if value is None:
            return None
        if not value:
            raise Rejection(-1105, f"Parameter '{name}' was empty.")
        self._read.add(name)
        return value

    def need(self, name: str) -> str:
        """The value of a mandatory parameter; -1102 without it."""
        value = self._raw.get(name)
        if not value:
            raise missing(name)
        self._read.add(name)
        return value

    def is_sent(self, name: str) -> bool:
        """True when the parameter came with a value; does not count as reading it."""
        return bool(self._raw.get(name))

    def has_any(self, names: frozenset[str]) -> bool:
        """True when one of these was sent, if only empty; does not count as reading it."""
        return not names.isdisjoint(self._raw)

    def need_one(self, first: str, second: str) -> None:
        """-1102 when neither of two alternatives was sent with a value."""
        if not self.is_sent(first) and not self.is_sent(second):
            raise Rejection(
                -1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!"
            )

    def choice(self, name: str, allowed: frozenset[str], code: int, text: str) -> str | None:
        """An optional word from a fixed set."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise Rejection(code, text)
        return value

    def decimal(self, name: str, precision: int) -> Decimal | None:
        """An optional non-negative decimal with at most `precision` places."""
        value = self.text(name)
        if value is None:
            return None
        if _DECIMAL.fullmatch(value) is None:
            raise _illegal(name, _DECIMAL)
        number = Decimal(value)
        if number > _MAX_DECIMAL:
            raise _overflow(name)
        if len(value) > precision and value.partition(".")[2][precision:].strip("0"):
            raise Rejection(-1111, f"Parameter '{name}' has too much precision.")
        return number

    def long(self, name: str, most: int = _MAX_LONG) -> int | None:
        """An optional non-negative whole number; -1108 above `most`."""
        value = self.text(name)
        if value is None:
            return None
        if _LONG.fullmatch(value) is None:
            raise _illegal(name, _LONG)
        number = int(value)
        if number > most:
            raise _overflow(name)
        return number

    def need_long(self, name: str) -> int:
        """A mandatory non-negative whole number; -1102 without it."""
        self.need(name)
        number = self.long(name)
        if number is None:
            raise missing(name)
        return number

    def flag(self, name: str) -> bool:
        """An optional `true` or `false`; -1130 for anything else."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise invalid(name)
        return value == "true"

    def client_id(self, name: str) -> str | None:
        """An optional client id for something new; -1118 when sent empty."""
        if self._raw.get(name) == "":
            raise Rejection(-1118, "New client order ID was empty.")
        value = self.text(name)
        if value is not None and _CLIENT_ID.fullmatch(value) is None:
            raise _illegal(name, _CLIENT_ID)
        return value

    def named(self, name: str) -> str | None:
        """An optional client id of something that exists; -1119 when sent empty."""
        if self._raw.get(name) == "":
            raise Rejection(-1119, "Original client order ID was empty.")
        return self.text(name)

    def refuse(self, *names: str) -> None:
        """Raise -1106 for a parameter this request must not carry."""
        for name in names:
            if self.text(name) is not None:
                raise Rejection(-1106, f"Parameter '{name}' sent when not required.")

    def finish(self) -> None:
        """Raise -1104 when a parameter was sent that nothing reads."""
        if self._read.issuperset(self._raw):
            return
        strays = [name for name in self._raw if name not in self._read]
        if strays:
            sent = len(self._raw) - self._implied
            text = f"read '{sent - len(strays)}' parameter(s) but was sent '{sent}'."
            raise Rejection(-1104, f"Not all sent parameters were read; {text}")


def missing(name: str) -> Rejection:
    """The rejection for an absent mandatory parameter."""
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return Rejection(-1102, text)


def invalid(name: str) -> Rejection:
    """The rejection for a word that is none of the allowed ones."""
    return Rejection(-1130, f"Data sent for parameter '{name}' is not valid.")


def _overflow(name: str) -> Rejection:
    return Rejection(-1108, f"Parameter '{name}' overflowed.")


def _illegal(name: str, legal: re.Pattern[str]) -> Rejection:
    text = f"Illegal characters found in parameter '{name}'; legal range is '{legal.pattern}'."
    return Rejection(-1100, text)


class OrderRequest(msgspec.Struct, frozen=True, gc=False):
    """One order as asked for.

    `qty` is None for a market order by quote amount, and for a pending leg whose quantity the
    working order decides.
    """

    side: Side
    type: str
    time_in_force: str
    qty: Decimal | None
    quote_qty: Decimal
    price: Decimal
    stop_price: Decimal | None
    trailing_delta: int | None
    iceberg_qty: Decimal
    strategy_id: int | None
    strategy_type: int | None
    client_id: str | None
    stp: str
    peg: Peg | None = None

    @property
    def is_algo(self) -> bool:
        """True for stop and take-profit types."""
        return self.type in ALGO_TYPES

    @property
    def is_limit(self) -> bool:
        """True for every type that carries a limit price."""
        return self.type in LIMIT_TYPES


def read_side(params: Params, name: str) -> Side:
    """BUY or SELL; -1117 otherwise."""
    value = params.need(name)
    if value not in ("BUY", "SELL"):
        raise Rejection(-1117, "Invalid side.")
    return cast("Side", value)


def read_response_type(params: Params) -> str | None:
    """ACK, RESULT, FULL or None when the caller leaves it to the exchange."""
    name = "newOrderRespType"
    value = params.text(name)
    if value is not None and value not in RESPONSES:
        raise invalid(name)
    return value


def read_stp(params: Params, spec: SymbolSpec) -> str:
    """The self-trade prevention mode; the symbol's default when none was sent."""
    value = params.text("selfTradePreventionMode")
    if value is None:
        return spec.default_stp
    if value not in spec.allowed_stp:
        text = "This symbol does not allow the specified self-trade prevention mode."
        raise Rejection(-1013, text)
    return value


def read_order(params: Params, spec: SymbolSpec) -> OrderRequest:
    """A single order from the parameters of the order endpoint."""
    side = read_side(params, "side")
    order_type = params.need("type")
    _check_type(order_type)
    stp = read_stp(params, spec)
    quote_qty = ZERO
    if order_type == "MARKET":
        params.need_one("quantity", "quoteOrderQty")
        quote_qty = params.decimal("quoteOrderQty", spec.quote_precision) or ZERO
    else:
        params.need("quantity")
    qty = params.decimal("quantity", spec.base_precision)
    if qty is not None:
        params.refuse("quoteOrderQty")
    leg = Leg("", side, order_type, qty, stp)
    return read_leg(params, spec, leg, quote_qty)


@cache
def _parameter(prefix: str, member: str) -> str:
    if prefix:
        return prefix + member
    return "newClientOrderId" if member == "ClientOrderId" else member[0].lower() + member[1:]


class Leg(msgspec.Struct, frozen=True, gc=False):
    """What is known of an order before its prefixed parameters are read."""

    prefix: str
    side: Side
    type: str
    qty: Decimal | None
    stp: str

    def name(self, member: str) -> str:
        """The parameter's name: `abovePrice` with a prefix, `price` without."""
        return _parameter(self.prefix, member)


def read_leg(params: Params, spec: SymbolSpec, leg: Leg, quote_qty: Decimal = ZERO) -> OrderRequest:
    """One order from parameters that share a prefix."""
    _check_type(leg.type)
    if leg.type not in ALGO_TYPES and not params.has_any(_rare_names(leg.prefix)):
        return _plain_leg(params, spec, leg, quote_qty)
    peg_type = _peg_type(params, spec, leg)
    stop, trailing = _trigger(params, spec, leg)
    strategy_type = params.long(leg.name("StrategyType"), _MAX_INT)
    if strategy_type is not None and strategy_type < _MIN_STRATEGY_TYPE:
        raise Rejection(-1134, "strategyType was less than 1000000.")
    price = _price(params, spec, leg, is_pegged=peg_type is not None)
    time_in_force = _time_in_force(params, leg)
    if leg.type == "LIMIT" and peg_type == "PRIMARY_PEG" and time_in_force != "GTC":
        raise Rejection(-2010, _BAD_PEG)
    # By position: matching this many members by name takes longer than all the rest of them.
    return OrderRequest(
        leg.side,
        leg.type,
        time_in_force,
        leg.qty,
        quote_qty,
        price,
        stop,
        trailing,
        _iceberg(params, spec, leg, time_in_force),
        params.long(leg.name("StrategyId")),
        strategy_type,
        params.client_id(leg.name("ClientOrderId")),
        leg.stp,
        _peg(params, leg, peg_type, price),
    )


@cache
def _rare_names(prefix: str) -> frozenset[str]:
    return frozenset(_parameter(prefix, member) for member in _RARE_MEMBERS)


def _plain_leg(params: Params, spec: SymbolSpec, leg: Leg, quote_qty: Decimal) -> OrderRequest:
    """What most orders are: nothing sent but the members every order may carry."""
    price = _price(params, spec, leg, is_pegged=False)
    return OrderRequest(
        leg.side,
        leg.type,
        _time_in_force(params, leg),
        leg.qty,
        quote_qty,
        price,
        None,
        None,
        ZERO,
        None,
        None,
        params.client_id(leg.name("ClientOrderId")),
        leg.stp,
    )


def _peg_type(params: Params, spec: SymbolSpec, leg: Leg) -> PegType | None:
    bad = "Invalid pegPriceType."
    value = params.choice(leg.name("PegPriceType"), _PEG_TYPES, -1210, bad)
    if value is None:
        params.refuse(leg.name("PegOffsetType"), leg.name("PegOffsetValue"))
        return None
    if not spec.peg_allowed:
        raise Rejection(-2010, "Pegged orders are not supported for this symbol.")
    if leg.type not in LIMIT_TYPES:
        raise Rejection(-2010, "This order type may not use pegged price.")
    if leg.type == "LIMIT_MAKER" and value != "PRIMARY_PEG":
        raise Rejection(-2010, _BAD_PEG)
    return cast("PegType", value)


def _peg(params: Params, leg: Leg, peg_type: PegType | None, stated: Decimal) -> Peg | None:
    if peg_type is None:
        return None
    type_name, value_name = leg.name("PegOffsetType"), leg.name("PegOffsetValue")
    kind = params.choice(type_name, frozenset({"PRICE_LEVEL"}), -1211, "Invalid pegOffsetType.")
    offset = params.long(value_name)
    if (kind is None) != (offset is None):
        raise missing(type_name if kind is None else value_name)
    if offset is not None and offset > _MAX_PEG_OFFSET:
        raise invalid(value_name)
    return Peg(price_type=peg_type, offset=offset, stated=stated)


def _check_type(order_type: str) -> None:
    if order_type not in ORDER_TYPES:
        raise Rejection(-1116, "Invalid orderType.")


def _price(params: Params, spec: SymbolSpec, leg: Leg, *, is_pegged: bool) -> Decimal:
    name = leg.name("Price")
    if leg.type not in LIMIT_TYPES:
        params.refuse(name)
        return ZERO
    if not is_pegged:
        params.need(name)
    return params.decimal(name, spec.quote_precision) or ZERO


def _time_in_force(params: Params, leg: Leg) -> str:
    name = leg.name("TimeInForce")
    if leg.type not in LIMIT_TYPES or leg.type == "LIMIT_MAKER":
        if params.text(name) is not None:
            raise Rejection(-1114, "TimeInForce parameter sent when not required.")
        return "GTC"
    value = params.need(name)
    if value not in TIMES_IN_FORCE:
        raise Rejection(-1115, "Invalid timeInForce.")
    return value


def _trigger(params: Params, spec: SymbolSpec, leg: Leg) -> tuple[Decimal | None, int | None]:
    stop_name, delta_name = leg.name("StopPrice"), leg.name("TrailingDelta")
    if leg.type not in ALGO_TYPES:
        params.refuse(stop_name, delta_name)
        return None, None
    params.need_one(stop_name, delta_name)
    stop = params.decimal(stop_name, spec.quote_precision)
    trailing = params.long(delta_name)
    if trailing is not None and not spec.trailing_allowed:
        raise Rejection(-2010, "Trailing stop orders are not supported for this symbol.")
    return stop, trailing


def _iceberg(params: Params, spec: SymbolSpec, leg: Leg, time_in_force: str) -> Decimal:
    name = leg.name("IcebergQty")
    if leg.type not in LIMIT_TYPES:
        params.refuse(name)
        return ZERO
    amount = params.decimal(name, spec.base_precision) or ZERO
    if amount == 0:
        return ZERO
    if not spec.iceberg_allowed:
        raise Rejection(-2010, "Iceberg orders are not supported for this symbol.")
    if time_in_force != "GTC" and leg.prefix:
        text = f"Parameter '{name}' is not supported if '{leg.name('TimeInForce')}' is not GTC."
        raise Rejection(-1160, text)
    if time_in_force != "GTC":
        raise Rejection(-1014, "Unsupported order combination.")
    if leg.qty is not None and amount > leg.qty:
        raise Rejection(-2010, "IcebergQty exceeds QTY.")
    return amount
