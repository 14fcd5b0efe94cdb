"""One embedded exchange: engine, market memory, listeners and journal behind its faces."""

from collections.abc import Mapping
from dataclasses import dataclass

from livespot.contracts.ports import Clock
from livespot.exchange.engine import Engine
from livespot.exchange.event_json import user_event
from livespot.exchange.journal import Journal
from livespot.exchange.limits import WeightMeter
from livespot.exchange.market_hub import MarketHub
from livespot.exchange.model import BookChanged, PublicTrade
from livespot.exchange.order_journal import OrderJournal
from livespot.exchange.outbound import OpenSockets
from livespot.exchange.settings import ApiKey, ExchangeSettings
from livespot.exchange.sources import MarketSource
from livespot.exchange.tape import Tape
from livespot.exchange.user_hub import UserHub


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeCore:
    """What every face of the exchange needs. All of it lives on one event loop, unlocked."""

    engine: Engine
    source: MarketSource
    tapes: Mapping[str, Tape]
    keys: Mapping[str, ApiKey]
    meter: WeightMeter
    market: MarketHub
    users: UserHub
    sockets: OpenSockets
    journal: Journal
    orders: OrderJournal
    clock: Clock
    settings: ExchangeSettings

    def settle(self) -> None:
        """Tell everybody what the engine did since the last call."""
        events = self.engine.drain_events()
        if not events:
            return
        now_ms = self.clock.now_ms()
        self.orders.record(events)
        for event in events:
            if isinstance(event, PublicTrade):
                self.tapes[event.symbol].on_trade(event)
                self.market.on_trade(event, now_ms)
            elif isinstance(event, BookChanged):
                self.market.on_book(event)
            else:
                self.users.publish(event.account_id, user_event(event, now_ms))


def open_exchange(
    settings: ExchangeSettings, source: MarketSource, *, clock: Clock, live_from_ms: int
) -> ExchangeCore:
    """Assemble an exchange that plays `source` from `live_from_ms` on."""
    engine = Engine(source.symbols, settings.accounts, settings.order_limits)
    tapes = {name: Tape(series, live_from_ms) for name, series in source.series.items()}
    journal = Journal(settings.journal)
    return ExchangeCore(
        engine=engine,
        source=source,
        tapes=tapes,
        keys={key.key: key for key in settings.keys},
        meter=WeightMeter(settings.request_limits),
        market=MarketHub(engine, tapes),
        users=UserHub(),
        sockets=OpenSockets(),
        journal=journal,
        orders=OrderJournal(journal),
        clock=clock,
        settings=settings,
    )
