"""Mutations take the WebSocket API while it answers, else REST; never both for one mutation."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from livespot.contracts.errors import OutcomeUnknown
from livespot.contracts.orders import (
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    ListRequest,
    OrderRequest,
    OrderUpdate,
    PlaceAnswer,
)
from livespot.contracts.vocabulary import OrderType, Side
from livespot.venue.chosen_orders import SocketFirstOrders

_ORDER = OrderRequest(
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.MARKET,
    qty=Decimal(1),
    client_order_id="x-1",
)
_CANCEL = CancelRequest(symbol="BTCUSDT", client_order_id="c-1", order_id=7)


@dataclass
class _Socket:
    connected: bool = True
    doubtful: bool = False


@dataclass
class _Way:
    """Counts what is sent this way; `lost` makes every answer an unknown one."""

    sent: list[str] = field(default_factory=list)
    lost: bool = False

    async def place(self, request: OrderRequest) -> PlaceAnswer:
        self._send(request.client_order_id)
        return PlaceAnswer(updates=())

    async def place_list(self, request: ListRequest) -> PlaceAnswer:
        self._send(request.list_client_order_id)
        return PlaceAnswer(updates=())

    async def cancel(self, request: CancelRequest) -> tuple[OrderUpdate, ...]:
        self._send(request.client_order_id)
        return ()

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer:
        raise OutcomeUnknown(request.order.client_order_id, "not part of this test")

    def _send(self, client_id: str) -> None:
        self.sent.append(client_id)
        if self.lost:
            raise OutcomeUnknown(client_id, "the connection was lost")


@pytest.mark.parametrize(
    ("health", "by_socket"),
    [
        (_Socket(), True),
        (_Socket(connected=False), False),
        (_Socket(doubtful=True), False),
    ],
    ids=["connected", "no connection", "half open"],
)
async def test_the_way_is_chosen_by_what_is_known_of_the_connection(
    health: _Socket, *, by_socket: bool
) -> None:
    socket, rest = _Way(), _Way()
    orders = SocketFirstOrders(health, socket=socket, rest=rest)

    await orders.place(_ORDER)
    await orders.cancel(_CANCEL)

    assert (socket.sent if by_socket else rest.sent) == ["x-1", "c-1"]
    assert (rest.sent if by_socket else socket.sent) == []


async def test_a_mutation_lost_on_the_socket_is_not_sent_again_by_rest() -> None:
    health, socket, rest = _Socket(), _Way(lost=True), _Way()
    orders = SocketFirstOrders(health, socket=socket, rest=rest)

    with pytest.raises(OutcomeUnknown):
        await orders.place(_ORDER)
    health.connected = False
    await orders.cancel(_CANCEL)

    assert (socket.sent, rest.sent) == (["x-1"], ["c-1"])
