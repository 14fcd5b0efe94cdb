"""The public side of one exchange: market data and rules, with no way to sign or send."""

from dataclasses import dataclass

from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.transport import HttpTransport, SocketTransport
from livespot.venue.caller import RestCaller
from livespot.venue.key_state import KeyState
from livespot.venue.market_stream import MarketStream
from livespot.venue.rest import BinanceRest
from livespot.venue.time_sync import TimeSync
from livespot.venue.weights import WeightBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicLink:
    """An exchange without an account; a signed read raises before anything is sent."""

    reads: BinanceRest
    market_stream: MarketStream
    server_clock: TimeSync
    budget: WeightBudget
    key: KeyState


def link_public(
    settings: Settings, *, clock: Clock, http: HttpTransport, sockets: SocketTransport
) -> PublicLink:
    """Build the adapters; nothing connects yet."""
    caller = RestCaller(
        transport=http,
        base_url=settings.venue.rest_url,
        clock=clock,
        read_timeout_seconds=settings.intents.rest_query_timeout_ms / 1000,
    )
    return PublicLink(
        reads=BinanceRest(caller),
        market_stream=MarketStream(sockets, settings.venue.ws_url, clock, caller.budget),
        server_clock=caller.server_clock,
        budget=caller.budget,
        key=caller.key,
    )
