"""Builds all adapters of one exchange from its addresses and a key."""

from dataclasses import dataclass

from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.transport import HttpTransport, SocketTransport
from livespot.contracts.venue import OrderTransport
from livespot.venue.caller import RestCaller
from livespot.venue.chosen_orders import SocketFirstOrders
from livespot.venue.key_state import KeyState
from livespot.venue.market_stream import MarketStream
from livespot.venue.rest import BinanceRest
from livespot.venue.rest_orders import RestOrders
from livespot.venue.signing import Signer
from livespot.venue.time_sync import TimeSync
from livespot.venue.weights import WeightBudget
from livespot.venue.ws_api import WsApiConnection
from livespot.venue.ws_orders import WsApiOrders


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLink:
    """One exchange. The WebSocket API brings the account's events and, if so set, takes orders."""

    reads: BinanceRest
    orders: OrderTransport
    account_events: WsApiConnection
    market_stream: MarketStream
    server_clock: TimeSync
    budget: WeightBudget
    key: KeyState


def link_venue(
    settings: Settings,
    *,
    clock: Clock,
    http: HttpTransport,
    sockets: SocketTransport,
    signer: Signer,
) -> VenueLink:
    """Build the adapters; nothing connects yet."""
    caller = RestCaller(
        transport=http,
        base_url=settings.venue.rest_url,
        clock=clock,
        signer=signer,
        read_timeout_seconds=settings.intents.rest_query_timeout_ms / 1000,
    )
    connection = WsApiConnection(
        transport=sockets,
        url=settings.venue.ws_api_url,
        clock=clock,
        server_clock=caller.server_clock,
        signer=signer,
        budget=caller.budget,
    )
    connection.key = caller.key
    return VenueLink(
        reads=BinanceRest(caller),
        orders=_orders(settings, caller, connection),
        account_events=connection,
        market_stream=MarketStream(sockets, settings.venue.ws_url, clock, caller.budget),
        server_clock=caller.server_clock,
        budget=caller.budget,
        key=caller.key,
    )


def _orders(settings: Settings, caller: RestCaller, connection: WsApiConnection) -> OrderTransport:
    seconds = settings.timing.mutation_timeout_ms / 1000
    rest = RestOrders(caller, timeout_seconds=seconds)
    if settings.venue.order_transport == "REST":
        return rest
    socket = WsApiOrders(connection, timeout_seconds=seconds)
    return SocketFirstOrders(connection, socket=socket, rest=rest)
