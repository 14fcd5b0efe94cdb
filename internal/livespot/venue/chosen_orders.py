"""Sends each mutation over the WebSocket API while that answers, else by REST."""

from typing import Protocol

from livespot.contracts.orders import (
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    ListRequest,
    OrderRequest,
    OrderUpdate,
    PlaceAnswer,
)
from livespot.contracts.venue import OrderTransport


class SocketHealth(Protocol):
    """What is known of the one WebSocket API connection."""

    @property
    def connected(self) -> bool: ...

    @property
    def doubtful(self) -> bool:
        """A request on it stayed unanswered and nothing has arrived since."""
        ...


class SocketFirstOrders:
    """An `OrderTransport` that chooses before the first byte and never changes its mind after it.

    What was handed to the socket and not answered is `OutcomeUnknown`; the next mutation goes by
    REST until the connection is back or has shown life.
    """

    def __init__(
        self, connection: SocketHealth, *, socket: OrderTransport, rest: OrderTransport
    ) -> None:
        self._connection = connection
        self._socket = socket
        self._rest = rest

    async def place(self, request: OrderRequest) -> PlaceAnswer:
        return await self._way().place(request)

    async def place_list(self, request: ListRequest) -> PlaceAnswer:
        return await self._way().place_list(request)

    async def cancel(self, request: CancelRequest) -> tuple[OrderUpdate, ...]:
        return await self._way().cancel(request)

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer:
        return await self._way().cancel_replace(request)

    def _way(self) -> OrderTransport:
        trusted = self._connection.connected and not self._connection.doubtful
        return self._socket if trusted else self._rest
