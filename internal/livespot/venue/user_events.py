"""Decodes the account's events of the WebSocket API as typed messages."""

from collections.abc import Callable
from decimal import Decimal

import msgspec
from msgspec import field

from livespot.contracts.amounts import ZERO
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.orders import BalancesChanged, Fill, ListView, OrderUpdate, OrderView
from livespot.contracts.streams import BalanceMoved, ServerShutdown, UserEvent, UserStreamEnded
from livespot.contracts.vocabulary import OrderType, Side
from livespot.venue.codec_account import balance_of
from livespot.venue.codec_orders import status_of
from livespot.venue.wire import read

STREAM = "STREAM"


class _Kind(msgspec.Struct, frozen=True):
    e: str


class _Report(msgspec.Struct, frozen=True):
    symbol: str = field(name="s")
    order_id: int = field(name="i")
    client_order_id: str = field(name="c")
    side: str = field(name="S")
    type: str = field(name="o")
    execution_type: str = field(name="x")
    status: str = field(name="X")
    transact_time: int = field(name="T")
    orig_client_order_id: str = field(name="C", default="")
    order_list_id: int = field(name="g", default=-1)
    orig_qty: Decimal = field(name="q", default=ZERO)
    price: Decimal = field(name="p", default=ZERO)
    stop_price: Decimal = field(name="P", default=ZERO)
    executed_qty: Decimal = field(name="z", default=ZERO)
    cumulative_quote: Decimal = field(name="Z", default=ZERO)
    last_qty: Decimal = field(name="l", default=ZERO)
    last_price: Decimal = field(name="L", default=ZERO)
    commission: Decimal = field(name="n", default=ZERO)
    commission_asset: str | None = field(name="N", default=None)
    trade_id: int = field(name="t", default=-1)
    is_working: bool = field(name="w", default=True)
    is_maker: bool = field(name="m", default=False)
    reject_reason: str = field(name="r", default="NONE")
    expiry_reason: str = field(name="eR", default="NONE")


class _Leg(msgspec.Struct, frozen=True):
    i: int
    c: str


class _ListStatus(msgspec.Struct, frozen=True):
    symbol: str = field(name="s")
    order_list_id: int = field(name="g")
    contingency_type: str = field(name="c")
    list_status_type: str = field(name="l")
    list_order_status: str = field(name="L")
    list_client_order_id: str = field(name="C")
    transact_time: int = field(name="T")
    legs: tuple[_Leg, ...] = field(name="O")


class _Held(msgspec.Struct, frozen=True):
    a: str
    f: Decimal
    l: Decimal  # noqa: E741  wire name


class _Position(msgspec.Struct, frozen=True):
    E: int
    B: tuple[_Held, ...]


class _Delta(msgspec.Struct, frozen=True):
    E: int
    a: str
    d: Decimal


class _Stamp(msgspec.Struct, frozen=True):
    E: int = 0


_KIND = msgspec.json.Decoder(_Kind)
_REPORT = msgspec.json.Decoder(_Report)
_LIST_STATUS = msgspec.json.Decoder(_ListStatus)
_POSITION = msgspec.json.Decoder(_Position)
_DELTA = msgspec.json.Decoder(_Delta)
_STAMP = msgspec.json.Decoder(_Stamp)


def decode_user_event(event: bytes | msgspec.Raw, received_ms: int) -> UserEvent | None:
    """Decode one event, given without its envelope; None for a kind that is not read.

    Raises:
        PayloadInvalid: it does not have the form of its kind.
    """
    decode = _DECODERS.get(read(_KIND, event, "user event").e)
    return decode(event, received_ms) if decode is not None else None


def _order_update(event: bytes | msgspec.Raw, received_ms: int) -> OrderUpdate:
    report = read(_REPORT, event, "execution report")
    try:
        view = _view(report, received_ms)
        fills = (_fill(report, view),) if report.execution_type == "TRADE" else ()
    except ValueError as error:
        raise PayloadInvalid(f"report of order {report.order_id}: {error}") from error
    return OrderUpdate(order=view, fills=fills, source=STREAM)


def _view(report: _Report, received_ms: int) -> OrderView:
    for amount in (report.price, report.stop_price, report.orig_qty, report.executed_qty):
        if not (amount.is_finite() and amount >= 0):
            raise ValueError(f"amount {amount} is insane")
    reasons = (report.expiry_reason, report.reject_reason)
    return OrderView(
        symbol=report.symbol,
        order_id=report.order_id,
        order_list_id=report.order_list_id,
        client_order_id=report.client_order_id,
        orig_client_order_id=report.orig_client_order_id,
        side=Side(report.side),
        type=OrderType(report.type),
        status=status_of(report.status),
        raw_status=report.status,
        price=report.price,
        stop_price=report.stop_price,
        orig_qty=report.orig_qty,
        executed_qty=report.executed_qty,
        cumulative_quote=report.cumulative_quote,
        exchange_time_ms=report.transact_time,
        local_received_ms=received_ms,
        expiry_reason=next((reason for reason in reasons if reason not in ("", "NONE")), ""),
        is_working=report.is_working,
    )


def _fill(report: _Report, view: OrderView) -> Fill:
    return Fill(
        symbol=report.symbol,
        trade_id=report.trade_id,
        order_id=report.order_id,
        client_order_id=view.own_id,
        side=view.side,
        price=report.last_price,
        qty=report.last_qty,
        commission=report.commission,
        commission_asset=report.commission_asset or "",
        is_maker=report.is_maker,
        exchange_time_ms=report.transact_time,
        local_received_ms=view.local_received_ms,
    )


def _list_view(event: bytes | msgspec.Raw, received_ms: int) -> ListView:
    status = read(_LIST_STATUS, event, "list status")
    return ListView(
        symbol=status.symbol,
        order_list_id=status.order_list_id,
        list_client_order_id=status.list_client_order_id,
        contingency_type=status.contingency_type,
        list_status_type=status.list_status_type,
        list_order_status=status.list_order_status,
        legs=tuple((leg.i, leg.c) for leg in status.legs),
        exchange_time_ms=status.transact_time,
        local_received_ms=received_ms,
    )


def _balances(event: bytes | msgspec.Raw, received_ms: int) -> BalancesChanged:
    position = read(_POSITION, event, "account position")
    return BalancesChanged(
        balances=tuple(balance_of(row.a, row.f, row.l) for row in position.B),
        exchange_time_ms=position.E,
        local_received_ms=received_ms,
    )


def _moved(event: bytes | msgspec.Raw, received_ms: int) -> BalanceMoved:
    return _delta(event, received_ms, external_lock=False)


def _locked(event: bytes | msgspec.Raw, received_ms: int) -> BalanceMoved:
    return _delta(event, received_ms, external_lock=True)


def _delta(event: bytes | msgspec.Raw, received_ms: int, *, external_lock: bool) -> BalanceMoved:
    delta = read(_DELTA, event, "balance update")
    if not delta.d.is_finite():
        raise PayloadInvalid(f"the balance change of {delta.a!r} is insane")
    return BalanceMoved(
        asset=delta.a,
        delta=delta.d,
        external_lock=external_lock,
        exchange_time_ms=delta.E,
        local_received_ms=received_ms,
    )


def _ended(event: bytes | msgspec.Raw, received_ms: int) -> UserStreamEnded:
    stamp = read(_STAMP, event, "end of stream")
    return UserStreamEnded(exchange_time_ms=stamp.E, local_received_ms=received_ms)


def _shutdown(event: bytes | msgspec.Raw, received_ms: int) -> ServerShutdown:
    stamp = read(_STAMP, event, "shutdown notice")
    return ServerShutdown(exchange_time_ms=stamp.E, local_received_ms=received_ms)


_DECODERS: dict[str, Callable[[bytes | msgspec.Raw, int], UserEvent]] = {
    "executionReport": _order_update,
    "listStatus": _list_view,
    "outboundAccountPosition": _balances,
    "balanceUpdate": _moved,
    "externalLockUpdate": _locked,
    "eventStreamTerminated": _ended,
    "serverShutdown": _shutdown,
}
