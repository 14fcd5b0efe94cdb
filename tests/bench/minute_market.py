"""Recorded minutes of several symbols, each closing with the frames it ends, and their windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from livespot.contracts.market import Candle, KlineUpdate, SymbolInfo, Ticker24h
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules import selection
from livespot.rules.choice import choose
from livespot.rules.snapshot import SnapshotContext, deep_features
from livespot.rules.symbol_window import SymbolWindow
from livespot.rules.thresholds import config_hash, thresholds_hash
from livespot.testing.market_values import a_day, a_symbol, in_frames, recorded_minutes
from livespot.testing.recorded_market import window_of

COINS = (
    *("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT"),
    *("ADAUSDT", "DOGEUSDT", "LINKUSDT", "LTCUSDT", "MATICUSDT"),
)
SETTINGS = Settings()
# The minutes before the first one of a window: enough for an ADX of one hour.
_PAST = 7_200
_APART = 2_880
_MINUTE_MS = Interval.M1.ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What comes to all symbols at the end of one minute."""

    now_ms: int
    closed: tuple[tuple[KlineUpdate, ...], ...]
    days: tuple[Ticker24h, ...]


class MinuteMarket:
    """So many symbols, warm, and their next minutes.

    From the eleventh on, a symbol plays the prices of one of the ten coins of two days later.
    """

    def __init__(self, symbols: int, minutes: int) -> None:
        self.windows: list[SymbolWindow] = []
        self.infos: dict[str, SymbolInfo] = {}
        self.minutes: list[Minute] = []
        first = recorded_minutes(COINS[0])[_PAST].open_time_ms
        first -= first % Interval.H1.ms
        made = [self._symbol(number, first, minutes) for number in range(symbols)]
        for number in range(minutes):
            end_ms = first + (number + 1) * _MINUTE_MS
            self.minutes.append(
                Minute(
                    now_ms=end_ms,
                    closed=tuple(closes[number] for closes in made),
                    days=tuple(self._day(window, end_ms) for window in self.windows),
                )
            )

    def _symbol(self, number: int, first_ms: int, minutes: int) -> list[tuple[KlineUpdate, ...]]:
        coin, shift_ms = COINS[number % len(COINS)], number // len(COINS) * _APART * _MINUTE_MS
        symbol = f"{coin.removesuffix('USDT')}{number // len(COINS) or ''}USDT"
        played = tuple(
            msgspec.structs.replace(minute, open_time_ms=minute.open_time_ms - shift_ms)
            for minute in recorded_minutes(coin)
        )
        past = tuple(m for m in played if m.open_time_ms < first_ms)
        window = window_of(symbol, past, first_ms)
        self.windows.append(window)
        self.infos[symbol] = a_symbol(symbol)
        end_ms = first_ms + minutes * _MINUTE_MS
        frames = {
            frame: {c.open_time_ms: c for c in in_frames(played, frame, end_ms)}
            for frame in Interval
        }
        return [
            tuple(_closing(symbol, frames, first_ms + (step + 1) * _MINUTE_MS))
            for step in range(minutes)
        ]

    @staticmethod
    def _day(window: SymbolWindow, now_ms: int) -> Ticker24h:
        weight = sum(window.symbol.encode()) % 100
        volume = Decimal(50_000_000 + 10_000 * weight + now_ms % 977)
        return a_day(window.symbol, quote_volume=volume, close_time_ms=now_ms)


def _closing(
    symbol: str, frames: dict[Interval, dict[int, Candle]], end_ms: int
) -> Iterator[KlineUpdate]:
    """The candles of every frame that end there; a minute without a trade has none."""
    for frame, candles in frames.items():
        candle = candles.get(end_ms - frame.ms)
        if candle is not None:
            yield KlineUpdate(
                symbol=symbol,
                interval=frame,
                candle=candle,
                closed=True,
                exchange_time_ms=end_ms,
                local_received_ms=end_ms,
            )


class Selecting:
    """Market state and selection as the two actors run them, without mailboxes and records."""

    def __init__(self, market: MinuteMarket) -> None:
        self._market = market
        # What the exchange lists is learnt every quarter of an hour.
        self._listed = selection.listing(market.infos, quote_asset=SETTINGS.venue.quote_asset)
        self._digests = config_hash(SETTINGS), thresholds_hash(SETTINGS)
        self.watched: dict[str, int] = {}
        self.chosen: list[tuple[str, ...]] = []

    def play(self, minutes: Sequence[Minute]) -> None:
        """Each minute into its windows; then universe, ranking, deep scan and choice."""
        for minute in minutes:
            for window, updates in zip(self._market.windows, minute.closed, strict=True):
                for update in updates:
                    window.take_kline(update)
            self._select(minute)

    def _select(self, minute: Minute) -> None:
        rules, windows = SETTINGS.selection, self._market.windows
        listed = selection.universe(self._listed, minute.days, (), rules)
        wanted = selection.wanted(selection.rank(listed, rules), rules)
        of_config, of_thresholds = self._digests
        context = SnapshotContext(
            settings=SETTINGS,
            config_hash=of_config,
            thresholds_hash=of_thresholds,
            now_ms=minute.now_ms,
            ws_ok=True,
        )
        features = [
            deep_features(window, context, out_of_order_drops=0)
            for window in windows
            if window.symbol in wanted
        ]
        ranked = selection.deep_scan(features, rules)
        returns = {found.symbol: found.returns for found in features if found.returns is not None}
        choices = choose(ranked, returns, self.watched, (), rules)
        chosen = tuple([choice.symbol for choice in choices if choice.chosen])
        self.watched = {symbol: self.watched.get(symbol, 0) + 1 for symbol in chosen}
        self.chosen.append(chosen)
