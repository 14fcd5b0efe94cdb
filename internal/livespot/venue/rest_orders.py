"""Sending mutations by REST, each exactly once."""

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
from livespot.contracts.transport import HttpAnswer
from livespot.venue import codec_orders
from livespot.venue.caller import Call, RestCaller
from livespot.venue.params import (
    Params,
    cancel_params,
    cancel_replace_params,
    list_params,
    order_params,
    priority_of,
)
from livespot.venue.weights import Priority


class RestOrders:
    """An `OrderTransport`. `timeout_seconds` of market time is how long an answer is waited for."""

    def __init__(self, caller: RestCaller, *, timeout_seconds: float) -> None:
        self._caller = caller
        self._timeout_seconds = timeout_seconds

    async def place(self, request: OrderRequest) -> PlaceAnswer:
        client_id = request.client_order_id
        call = _call("POST", "order", order_params(request), client_id, priority_of(request))
        answer = await self._mutate(call)
        try:
            return codec_orders.decode_placed(answer.body, request, self._now_ms())
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def place_list(self, request: ListRequest) -> PlaceAnswer:
        client_id = request.list_client_order_id
        path = f"orderList/{request.kind.value}"
        call = _call("POST", path, list_params(request), client_id, priority_of(request))
        answer = await self._mutate(call)
        try:
            return codec_orders.decode_placed_list(answer.body, self._now_ms())
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def cancel(self, request: CancelRequest) -> tuple[OrderUpdate, ...]:
        client_id = request.client_order_id
        call = _call("DELETE", "order", cancel_params(request), client_id, Priority.PROTECTION)
        answer = await self._mutate(call)
        try:
            return codec_orders.decode_cancelled(answer.body, request, self._now_ms())
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer:
        """Send a cancel-replace.

        `OutcomeUnknown` names the new order's id and covers both halves.
        """
        client_id = request.order.client_order_id
        params = cancel_replace_params(request)
        call = _call("POST", "order/cancelReplace", params, client_id, priority_of(request))
        answer = await self._mutate(call)
        try:
            return codec_orders.decode_cancel_replace(
                answer.body, request, self._now_ms(), failed=answer.status != 200
            )
        except PayloadInvalid as error:
            raise OutcomeUnknown(client_id, str(error)) from error

    async def _mutate(self, call: Call) -> HttpAnswer:
        return await self._caller.mutate(call, timeout_seconds=self._timeout_seconds)

    def _now_ms(self) -> int:
        return self._caller.clock.now_ms()


def _call(method: str, path: str, params: Params, client_id: str, priority: Priority) -> Call:
    return Call(
        method=method,
        path=f"/api/v3/{path}",
        params=params,
        weight=1,
        priority=priority,
        signed=True,
        mutation_id=client_id,
        places_orders=method == "POST",
    )
