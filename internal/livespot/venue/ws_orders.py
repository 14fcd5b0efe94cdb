"""Sending mutations over the WebSocket API, each exactly once."""

from livespot.contracts.errors import OutcomeUnknown, PayloadInvalid
from livespot.contracts.orders import (
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    ListRequest,
    OrderRequest,
    OrderUpdate,
    PlaceAnswer,
)
from livespot.venue import codec_orders
from livespot.venue.params import (
    Params,
    cancel_params,
    cancel_replace_params,
    list_params,
    order_params,
    priority_of,
)
from livespot.venue.weights import Priority
from livespot.venue.ws_api import SocketCall, SocketReply, WsApiConnection


class WsApiOrders:
    """An `OrderTransport`. `timeout_seconds` of market time is how long a reply is waited for."""

    def __init__(self, connection: WsApiConnection, *, timeout_seconds: float) -> None:
        self._connection = connection
        self._timeout_seconds = timeout_seconds

    async def place(self, request: OrderRequest) -> PlaceAnswer:
        client_id = request.client_order_id
        call = _call("order.place", order_params(request), client_id, priority_of(request))
        reply = await self._send(call)
        try:
            return codec_orders.decode_placed(reply.body, request, self._now_ms())
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def place_list(self, request: ListRequest) -> PlaceAnswer:
        client_id = request.list_client_order_id
        method = f"orderList.place.{request.kind.value}"
        reply = await self._send(
            _call(method, list_params(request), client_id, priority_of(request))
        )
        try:
            return codec_orders.decode_placed_list(reply.body, self._now_ms())
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def cancel(self, request: CancelRequest) -> tuple[OrderUpdate, ...]:
        client_id = request.client_order_id
        call = _call("order.cancel", cancel_params(request), client_id, Priority.PROTECTION)
        reply = await self._send(call)
        try:
            return codec_orders.decode_cancelled(reply.body, request, self._now_ms())
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer:
        """Send a cancel-replace.

        `OutcomeUnknown` names the new order's id and covers both halves.
        """
        client_id = request.order.client_order_id
        params = cancel_replace_params(request)
        call = _call("order.cancelReplace", params, client_id, priority_of(request))
        reply = await self._send(call)
        try:
            return codec_orders.decode_cancel_replace(
                reply.body, request, self._now_ms(), failed=reply.failed
            )
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def _send(self, call: SocketCall) -> SocketReply:
        return await self._connection.call(call, timeout_seconds=self._timeout_seconds)

    def _now_ms(self) -> int:
        return self._connection.clock.now_ms()


def _call(method: str, params: Params, client_id: str, priority: Priority) -> SocketCall:
    return SocketCall(
        method=method,
        params=params,
        weight=1,
        priority=priority,
        mutation_id=client_id,
        places_orders=method != "order.cancel",
    )
