"""Sends each mutation over the WebSocket API while it answers, otherwise over REST."""

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
    """The state of the one WebSocket API connection."""

    @property
    def connected(self) -> bool: ...

    @property
    def doubtful(self) -> bool:
        """Whether a request got no answer and nothing has arrived on the connection since."""
        ...


class SocketFirstOrders:
    """An `OrderTransport` that picks socket or REST per request and never falls back to the other.

    A request that was handed to the socket and not answered is `OutcomeUnknown`. The next mutation
    goes over REST until the socket is connected again or something has arrived on it.
    """

    def __init__(
        self, connection: SocketHealth, *, socket: OrderTransport, rest: OrderTransport
    ) -> None:
        self._connection = connection
        self._socket = socket
        self._rest = rest

    async def place(self, request: OrderRequest) -> PlaceAnswer:
        return await self._chosen().place(request)

    async def place_list(self, request: ListRequest) -> PlaceAnswer:
        return await self._chosen().place_list(request)

    async def cancel(self, request: CancelRequest) -> tuple[OrderUpdate, ...]:
        return await self._chosen().cancel(request)

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer:
        return await self._chosen().cancel_replace(request)

    def _chosen(self) -> OrderTransport:
        trusted = self._connection.connected and not self._connection.doubtful
        return self._socket if trusted else self._rest
