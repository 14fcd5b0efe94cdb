"""One embedded exchange: engine, market memory, listeners and journal behind its faces."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from livespot.contracts.ports import Clock
from livespot.exchange.engine import Engine
from livespot.exchange.event_json import user_event
from livespot.exchange.faults.injector import Injector
from livespot.exchange.journal import Journal
from livespot.exchange.kline_texts import KlineTexts
from livespot.exchange.limits import Meters
from livespot.exchange.market_hub import MarketHub
from livespot.exchange.model import BookChanged, PublicTrade, StatusChanged
from livespot.exchange.order_journal import OrderJournal
from livespot.exchange.outbound import OpenSockets
from livespot.exchange.read_view import ReadView
from livespot.exchange.settings import ApiKey, ExchangeSettings
from livespot.exchange.sources import MarketSource
from livespot.exchange.tape import Tape
from livespot.exchange.user_events import UserEvents
from livespot.exchange.user_hub import UserHub

_PUBLIC = frozenset({PublicTrade, BookChanged, StatusChanged})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeCore:
    """What every face of the exchange needs. All of it lives on one event loop, unlocked.

    `clock` is the time the exchange believes in, `market_clock` the one its market follows; they
    differ only through a fault. `faults` is None for an exchange that can have none.
    """

    engine: Engine
    source: MarketSource
    tapes: Mapping[str, Tape]
    keys: dict[str, ApiKey]
    meters: Meters
    market: MarketHub
    users: UserHub
    sockets: OpenSockets
    journal: Journal
    orders: OrderJournal
    clock: Clock
    settings: ExchangeSettings
    market_clock: Clock
    reads: ReadView
    user_events: UserEvents
    faults: Injector | None
    kline_texts: KlineTexts = field(default_factory=KlineTexts)

    def set_key(self, key: ApiKey) -> None:
        """Add a key, or change what it may do."""
        self.keys[key.key] = key

    def revoke_key(self, key: str) -> None:
        """Forget a key: its streams end at once, sessions that rest on it at their next call."""
        self.keys.pop(key, None)
        self.users.end_key(key, self.clock.now_ms())

    def settle(self) -> None:
        """Tell everybody what the engine did since the last call."""
        events = self.engine.drain_events()
        if not events:
            return
        now_ms, market_ms = self.clock.now_ms(), self.market_clock.now_ms()
        if not _PUBLIC.issuperset(map(type, events)):
            self.orders.record(events)
        self.reads.record(events)
        for event in events:
            if isinstance(event, PublicTrade):
                self.tapes[event.symbol].on_trade(event)
                self.market.on_trade(event, market_ms)
            elif isinstance(event, BookChanged):
                self.market.on_book(event)
            elif isinstance(event, StatusChanged):
                self.tapes[event.symbol].on_status(event.status, event.time_ms)
            else:
                said = user_event(event, now_ms)
                self.user_events.publish(event.account_id, said, event.time_ms)
        self.market.settle(market_ms)


def open_exchange(
    settings: ExchangeSettings, source: MarketSource, *, clock: Clock, live_from_ms: int
) -> ExchangeCore:
    """Assemble an exchange that plays `source` from `live_from_ms` on."""
    engine = Engine(source.symbols, settings.accounts, settings.order_limits)
    tapes = {name: Tape(series, live_from_ms) for name, series in source.series.items()}
    journal = Journal(settings.journal)
    users = UserHub()
    faults = None
    if settings.plan is not None or settings.control_port is not None:
        faults = Injector(clock, journal, stop_ms=settings.stop_ms)
    core = ExchangeCore(
        engine=engine,
        source=source,
        tapes=tapes,
        keys={key.key: key for key in settings.keys},
        meters=Meters(settings.request_limits),
        market=MarketHub(engine, tapes),
        users=users,
        sockets=OpenSockets(),
        journal=journal,
        orders=OrderJournal(journal),
        clock=faults.believed if faults is not None else clock,
        settings=settings,
        market_clock=clock,
        reads=ReadView(engine, clock, settings.read_lag_ms),
        user_events=UserEvents(users, journal, faults),
        faults=faults,
    )
    if faults is not None:
        faults.bind(core, settings.plan, settings.start_ms or clock.now_ms())
    return core
