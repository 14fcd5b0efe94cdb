"""The parts of the exchange's JSON that are read; all other members are ignored."""

from decimal import Decimal
from typing import TypeVar

import msgspec

from livespot.contracts.amounts import ZERO
from livespot.contracts.errors import PayloadInvalid

T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Fields are named as the exchange names them, in camel case."""


ABSENT = msgspec.Raw(b"")


def given(raw: msgspec.Raw) -> bool:
    """Whether an undecoded part is present and not null."""
    return bytes(raw) not in (b"", b"null")


class WireLevel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    price: Decimal
    qty: Decimal


class WireKline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first six of a kline row's twelve columns; the others are not read."""

    open_time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class WireFill(Wire, frozen=True):
    price: Decimal
    qty: Decimal
    commission: Decimal
    trade_id: int
    commission_asset: str = ""


class WireOrder(Wire, frozen=True):
    """One order in any reply: placement, cancel, query, or report within a list.

    Which fields are present depends on the reply; absent ones keep their defaults.
    """

    symbol: str
    order_id: int
    order_list_id: int = -1
    client_order_id: str = ""
    orig_client_order_id: str = ""
    side: str = ""
    type: str = ""
    status: str = ""
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    orig_qty: Decimal = ZERO
    executed_qty: Decimal = ZERO
    cummulative_quote_qty: Decimal = ZERO
    transact_time: int = 0
    update_time: int = 0
    time: int = 0
    working_time: int | None = None
    is_working: bool | None = None
    expiry_reason: str = ""
    fills: tuple[WireFill, ...] = ()


class WireLeg(Wire, frozen=True):
    order_id: int
    client_order_id: str


class WireList(Wire, frozen=True):
    """An order list in any reply; `order_reports` is filled only by placements and cancels."""

    symbol: str
    order_list_id: int
    contingency_type: str
    list_status_type: str
    list_order_status: str
    list_client_order_id: str
    transaction_time: int
    orders: tuple[WireLeg, ...] = ()
    order_reports: tuple[WireOrder, ...] = ()


class WireTrade(Wire, frozen=True):
    symbol: str
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class WireRateLimit(Wire, frozen=True):
    """One limit. All fields have defaults, so that a new kind of limit does not spoil the rest."""

    rate_limit_type: str = ""
    interval: str = ""
    interval_num: int = 0
    limit: int = 0
    count: int = -1


class WireError(Wire, frozen=True):
    code: int
    msg: str = ""
    data: msgspec.Raw = ABSENT


def read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, what: str) -> T:
    """Decode, or raise `PayloadInvalid` with what was expected; the content is never quoted."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadInvalid(f"unreadable {what}: {type(error).__name__}: {error}") from error
