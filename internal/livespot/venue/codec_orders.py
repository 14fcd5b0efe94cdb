"""Decodes orders, order lists and fills from REST bodies and WebSocket API results."""

from collections.abc import Iterable

import msgspec

from livespot.contracts.amounts import ZERO
from livespot.contracts.errors import OutcomeUnknown, PayloadInvalid
from livespot.contracts.orders import (
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    Fill,
    ListView,
    OrderRequest,
    OrderUpdate,
    OrderView,
    PlaceAnswer,
)
from livespot.contracts.vocabulary import OrderStatus, OrderType, Side
from livespot.venue.refusals import OUTCOME_UNKNOWN_CODES
from livespot.venue.wire import ABSENT, Wire, WireError, WireList, WireOrder, WireTrade, read

REPLY = "REPLY"
_ACK = "ACK"
_STATUSES = {status.value: status for status in OrderStatus}

_ORDER = msgspec.json.Decoder(WireOrder)
_ORDERS = msgspec.json.Decoder(tuple[WireOrder, ...])
_LIST = msgspec.json.Decoder(WireList)
_LISTS = msgspec.json.Decoder(tuple[WireList, ...])
_TRADES = msgspec.json.Decoder(tuple[WireTrade, ...])
_ERROR = msgspec.json.Decoder(WireError)


class _Halves(Wire, frozen=True):
    """Both halves of a cancel-replace answer; each is a report, an error or null."""

    cancel_result: str
    new_order_result: str
    cancel_response: msgspec.Raw = ABSENT
    new_order_response: msgspec.Raw = ABSENT


class _ErrorWithHalves(Wire, frozen=True):
    data: _Halves


class _ListProbe(Wire, frozen=True):
    """Tells a list report from an order report: only a list report has order reports of its own."""

    contingency_type: str = ""


_HALVES = msgspec.json.Decoder(_Halves)
_FAILED_HALVES = msgspec.json.Decoder(_ErrorWithHalves)
_PROBE = msgspec.json.Decoder(_ListProbe)


def decode_order(body: bytes, received_ms: int) -> OrderView:
    return _view(read(_ORDER, body, "order"), received_ms)


def decode_orders(body: bytes, received_ms: int) -> tuple[OrderView, ...]:
    return tuple(_view(wire, received_ms) for wire in read(_ORDERS, body, "orders"))


def decode_list(body: bytes, received_ms: int) -> ListView:
    return _list_view(read(_LIST, body, "order list"), received_ms)


def decode_lists(body: bytes, received_ms: int) -> tuple[ListView, ...]:
    return tuple(_list_view(wire, received_ms) for wire in read(_LISTS, body, "order lists"))


def decode_trades(body: bytes, received_ms: int) -> tuple[Fill, ...]:
    """Decode own trades, oldest first.

    The exchange does not name the client id, so it stays empty.
    """
    return tuple(_trade(wire, received_ms) for wire in read(_TRADES, body, "trades"))


def decode_placed(body: bytes, request: OrderRequest, received_ms: int) -> PlaceAnswer:
    """Decode the reply to a placement, in any of its three forms.

    An ACK does not state the order's state: the view then carries the values of the request, status
    UNKNOWN and raw status ACK.
    """
    return PlaceAnswer(updates=(_placed(body, request, received_ms),))


def decode_placed_list(body: bytes, received_ms: int) -> PlaceAnswer:
    """Decode the reply to a list placement: one update per order report; an ACK has none."""
    wire = read(_LIST, body, "placed list")
    return PlaceAnswer(
        updates=_updates(wire.order_reports, received_ms),
        order_list=_list_view(wire, received_ms),
    )


def decode_cancelled(
    body: bytes | msgspec.Raw, request: CancelRequest, received_ms: int
) -> tuple[OrderUpdate, ...]:
    """Decode the reply to a cancel: one order, or all legs of its list, the requested one first."""
    if not read(_PROBE, body, "cancel reply").contingency_type:
        return (_update(read(_ORDER, body, "cancelled order"), received_ms),)
    updates = _updates(read(_LIST, body, "cancelled list").order_reports, received_ms)
    if not updates:
        raise PayloadInvalid("a cancelled list without reports")
    return tuple(sorted(updates, key=lambda update: not _is_asked(update.order, request)))


def decode_cancel_replace(
    body: bytes, request: CancelReplaceRequest, received_ms: int, *, failed: bool
) -> CancelReplaceAnswer:
    """Decode both halves, from a success body or (when `failed`) from the `data` of an error body.

    Raises:
        PayloadInvalid: the body cannot be read.
        OutcomeUnknown: the outcome of one of the halves is itself unknown.
    """
    halves = (
        read(_FAILED_HALVES, body, "failed cancel-replace").data
        if failed
        else read(_HALVES, body, "cancel-replace")
    )
    cancelled = cancel_error = placed = place_error = None
    also_ended: tuple[OrderUpdate, ...] = ()
    if halves.cancel_result == "SUCCESS":
        cancelled, *others = decode_cancelled(halves.cancel_response, request.cancel, received_ms)
        also_ended = tuple(others)
    else:
        cancel_error = _half_error(halves.cancel_response, request.cancel.client_order_id)
    if halves.new_order_result == "SUCCESS":
        placed = _placed(halves.new_order_response, request.order, received_ms)
    elif halves.new_order_result == "FAILURE":
        place_error = _half_error(halves.new_order_response, request.order.client_order_id)
    elif halves.new_order_result != "NOT_ATTEMPTED":
        raise PayloadInvalid(f"cancel-replace result {halves.new_order_result!r}")
    return CancelReplaceAnswer(
        cancelled=cancelled,
        cancel_error=cancel_error,
        placed=placed,
        place_error=place_error,
        place_attempted=halves.new_order_result != "NOT_ATTEMPTED",
        also_ended=also_ended,
    )


def _half_error(raw: msgspec.Raw, client_order_id: str) -> tuple[int, str]:
    error = read(_ERROR, raw, "half of a cancel-replace")
    if error.code in OUTCOME_UNKNOWN_CODES:
        raise OutcomeUnknown(client_order_id, f"{error.code}: {error.msg}")
    return error.code, error.msg


def _placed(body: bytes | msgspec.Raw, request: OrderRequest, received_ms: int) -> OrderUpdate:
    wire = read(_ORDER, body, "placed order")
    if not wire.status:
        wire = msgspec.structs.replace(
            wire,
            status=_ACK,
            side=request.side,
            type=request.type,
            price=request.price or ZERO,
            stop_price=request.stop_price or ZERO,
            orig_qty=request.qty,
        )
    return _update(wire, received_ms)


def _updates(reports: Iterable[WireOrder], received_ms: int) -> tuple[OrderUpdate, ...]:
    return tuple(_update(report, received_ms) for report in reports if report.status)


def _update(wire: WireOrder, received_ms: int) -> OrderUpdate:
    view = _view(wire, received_ms)
    try:
        fills = tuple(
            Fill(
                symbol=wire.symbol,
                trade_id=fill.trade_id,
                order_id=wire.order_id,
                client_order_id=view.own_id,
                side=view.side,
                price=fill.price,
                qty=fill.qty,
                commission=fill.commission,
                commission_asset=fill.commission_asset,
                # Fills that come with the reply took liquidity from the book.
                is_maker=False,
                exchange_time_ms=view.exchange_time_ms,
                local_received_ms=received_ms,
            )
            for fill in wire.fills
        )
    except ValueError as error:
        raise PayloadInvalid(f"a fill of order {wire.order_id}: {error}") from error
    return OrderUpdate(order=view, fills=fills, source=REPLY)


def _view(wire: WireOrder, received_ms: int) -> OrderView:
    try:
        side, kind = Side(wire.side), OrderType(wire.type)
    except ValueError as error:
        raise PayloadInvalid(f"order {wire.order_id}: {error}") from error
    amounts = (wire.price, wire.stop_price, wire.orig_qty, wire.executed_qty)
    if not all(amount.is_finite() and amount >= 0 for amount in amounts):
        raise PayloadInvalid(f"order {wire.order_id} has an insane amount")
    quote = wire.cummulative_quote_qty
    return OrderView(
        symbol=wire.symbol,
        order_id=wire.order_id,
        order_list_id=wire.order_list_id,
        client_order_id=wire.client_order_id,
        orig_client_order_id=wire.orig_client_order_id,
        side=side,
        type=kind,
        status=status_of(wire.status),
        raw_status=wire.status,
        price=wire.price,
        stop_price=wire.stop_price,
        orig_qty=wire.orig_qty,
        executed_qty=wire.executed_qty,
        # The exchange writes a negative total for old orders without data.
        cumulative_quote=quote if quote.is_finite() and quote > 0 else ZERO,
        exchange_time_ms=wire.transact_time or wire.update_time or wire.time,
        local_received_ms=received_ms,
        expiry_reason="" if wire.expiry_reason == "NONE" else wire.expiry_reason,
        is_working=_is_working(wire),
    )


def _is_working(wire: WireOrder) -> bool:
    if wire.working_time is not None:
        return wire.working_time > 0
    return wire.is_working is not False


def status_of(text: str) -> OrderStatus:
    """Return the status; UNKNOWN for one this version does not know, whose text the view keeps."""
    return _STATUSES.get(text, OrderStatus.UNKNOWN)


def _list_view(wire: WireList, received_ms: int) -> ListView:
    return ListView(
        symbol=wire.symbol,
        order_list_id=wire.order_list_id,
        list_client_order_id=wire.list_client_order_id,
        contingency_type=wire.contingency_type,
        list_status_type=wire.list_status_type,
        list_order_status=wire.list_order_status,
        legs=tuple((leg.order_id, leg.client_order_id) for leg in wire.orders),
        exchange_time_ms=wire.transaction_time,
        local_received_ms=received_ms,
    )


def _trade(wire: WireTrade, received_ms: int) -> Fill:
    try:
        return Fill(
            symbol=wire.symbol,
            trade_id=wire.id,
            order_id=wire.order_id,
            client_order_id="",
            side=Side.BUY if wire.is_buyer else Side.SELL,
            price=wire.price,
            qty=wire.qty,
            commission=wire.commission,
            commission_asset=wire.commission_asset,
            is_maker=wire.is_maker,
            exchange_time_ms=wire.time,
            local_received_ms=received_ms,
        )
    except ValueError as error:
        raise PayloadInvalid(f"trade {wire.id}: {error}") from error


def _is_asked(order: OrderView, request: CancelRequest) -> bool:
    if request.order_id is not None:
        return order.order_id == request.order_id
    return order.own_id == request.orig_client_order_id
