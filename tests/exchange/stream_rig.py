"""Many symbols whose books and trades a test moves by hand, and a hub that tells of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec

from livespot.exchange.candle import MINUTE_MS, Candle
from livespot.exchange.engine import Engine
from livespot.exchange.klines import Bar
from livespot.exchange.market_hub import MarketHub
from livespot.exchange.model import AccountSpec, BookChanged, Json, OrderLimits, PublicTrade
from livespot.exchange.outbound import Outbound
from livespot.exchange.specs import symbol_spec
from livespot.exchange.stream_channels import Listener
from livespot.exchange.tape import Tape
from livespot.testing.spot_desk import BASIC_FILTERS, START_MS, symbol_row

RIG_MS = START_MS // MINUTE_MS * MINUTE_MS
_TICK, _STEP = Decimal("0.01"), Decimal("0.001")
_PRICE = 10_000


@dataclass(frozen=True)
class SteadyHistory:
    """Every minute is there, and each traded a little at the same price. `outage` ones are not."""

    symbol: str
    tick_size: Decimal = _TICK
    step_size: Decimal = _STEP
    outage: tuple[int, ...] = ()

    @cached_property
    def minutes(self) -> Sequence[int]:
        first = RIG_MS // MINUTE_MS - 3 * 1440
        everyone = range(first, first + 30 * 1440)
        if not self.outage:
            return everyone
        return [minute for minute in everyone if minute not in self.outage]

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        count = last - first
        volume = 10 * count
        quote = volume * _PRICE
        prices = (_PRICE,) * 4
        return Bar(open_ms, *prices, volume, quote, count, volume // 2, quote // 2)

    def at(self, row: int) -> Candle:
        return Candle(self.minutes[row] * MINUTE_MS, _PRICE, _PRICE, _PRICE, _PRICE, 10)


def symbol_names(count: int) -> list[str]:
    return [f"B{number:03d}USDT" for number in range(count)]


def engine_of(names: Sequence[str]) -> Engine:
    """An exchange of these symbols with two rich accounts."""
    rows = [
        symbol_row(BASIC_FILTERS, symbol=name, baseAsset=name.removesuffix("USDT"))
        for name in names
    ]
    rich = {row["baseAsset"]: Decimal(10**6) for row in rows} | {"USDT": Decimal(10**9)}
    accounts = [AccountSpec(account_id=name, balances=rich) for name in ("alice", "bob")]
    limits = OrderLimits(ten_seconds=10**6, day=10**6)
    return Engine([symbol_spec(row) for row in rows], accounts, limits)


class Ear:
    """A client that keeps what it is sent."""

    def __init__(self, hub: MarketHub, *streams: str, unit: int = 1, size: int = 100_000) -> None:
        self.outbound = Outbound("ear", size)
        self.listener = Listener(self.outbound, combined=True, unit=unit)
        for stream in streams:
            hub.subscribe(self.listener, stream)

    def frames(self) -> list[tuple[str, Any]]:
        """(stream, payload) of everything since the last call."""
        found = [msgspec.json.decode(text) for text in self.outbound.waiting()]
        return [(frame["stream"], frame["data"]) for frame in found]

    def payloads(self) -> list[Any]:
        return [payload for _, payload in self.frames()]


class Rig:
    """A small exchange without sockets. Times are epoch ms; it begins at a whole minute."""

    def __init__(self, symbols: int = 1, outage: tuple[int, ...] = ()) -> None:
        self.names = symbol_names(symbols)
        self.engine = engine_of(self.names)
        self.tapes = {name: Tape(SteadyHistory(name, outage=outage), RIG_MS) for name in self.names}
        self.hub = MarketHub(self.engine, self.tapes)
        self.now_ms = RIG_MS
        self._ears: list[Ear] = []
        for name in self.names:
            self.book(name, 100, 101)
        self.hub.tick(self.now_ms)

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        for ear in self._ears:
            ear.outbound.close()

    def ear(self, *streams: str, unit: int = 1) -> Ear:
        self._ears.append(Ear(self.hub, *streams, unit=unit))
        return self._ears[-1]

    def to(self, after_ms: int, step_ms: int = 100) -> None:
        """Let time pass until so long after the beginning."""
        while self.now_ms < RIG_MS + after_ms:
            self.now_ms = min(self.now_ms + step_ms, RIG_MS + after_ms)
            self.hub.tick(self.now_ms)

    def later(self, by_ms: int) -> None:
        """Let time pass in one step."""
        self.now_ms += by_ms
        self.hub.tick(self.now_ms)

    def book(self, name: str, bid: int, ask: int, qty: int = 5) -> None:
        """One level a side, in whole quote units."""
        size = Decimal(qty)
        sides = [(Decimal(bid), size)], [(Decimal(ask), size)]
        self.engine.set_book(name, *sides, self.now_ms)
        self.settle()

    def print(self, name: str, price: str, qty: str = "1", *, sell: bool = False) -> None:
        """A trade of the wider market; a sell hits the bid."""
        self.engine.print_trade(
            name, Decimal(price), Decimal(qty), buyer_is_maker=sell, now_ms=self.now_ms
        )
        self.settle()

    def place(self, account: str, name: str, **params: str) -> Json:
        reply = self.engine.place_order(account, {"symbol": name, **params}, self.now_ms)
        self.settle()
        return reply

    def settle(self) -> None:
        for event in self.engine.drain_events():
            if isinstance(event, PublicTrade):
                self.tapes[event.symbol].on_trade(event)
                self.hub.on_trade(event, self.now_ms)
            elif isinstance(event, BookChanged):
                self.hub.on_book(event)
        self.hub.settle(self.now_ms)
