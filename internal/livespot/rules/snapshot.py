"""Builds, validates and hashes the snapshot, the only input of a decision."""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from livespot.contracts import ids
from livespot.contracts.amounts import ZERO
from livespot.contracts.canonical import (
    canonical_json,
    canonical_json_once,
    hash_of,
    once_per_object,
    sha256_hex,
)
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import (
    BookTicker,
    Constraints,
    DeepFeatures,
    FrameStrength,
    Market24h,
    Microstructure,
    Prices,
    Regime,
    Rejection,
    Snapshot,
    SnapshotHealth,
    SymbolInfo,
    Ticker24h,
    Volatility,
)
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.closed_readings import SignalFrame, plain, returns_of_readings
from livespot.rules.indicators import EMA_CANDLES
from livespot.rules.symbol_window import SymbolWindow

_TOP = 5
_ADX_MAX = 1_000_000
_M5, _FRAMES = Interval.M5, frozenset(Interval)
# The hashed object, with its names in the order of canonical JSON. The `%b` without a name takes
# the members of `_Moving`, whose names are neighbours.
_HASHED = (
    b'{"candles_5m_sha256":%b,"config_hash":%b,"cost_inputs":%b,"filters_hash":%b,'
    b'%b,"regime":%b,"returns":%b,"symbol":%b,"symbol_status":%b,'
    b'"thresholds_hash":%b,"volatility":%b}'
)
_json_of_part = once_per_object(512)(canonical_json)
_NAMED = ("symbol", "symbol_status", "filters_hash", "config_hash", "thresholds_hash")


class SnapshotContext(msgspec.Struct, frozen=True, kw_only=True):
    """What all symbols of a cycle share; `now_ms` is the exchange's time."""

    settings: Settings
    config_hash: str
    thresholds_hash: str
    now_ms: int
    ws_ok: bool


class _Moving(msgspec.Struct, frozen=True, kw_only=True):
    """The hashed parts that change in every cycle; all others change when a candle closes."""

    microstructure: Microstructure
    prices: Prices


class _Parts(NamedTuple):
    """A symbol's readings when none of them is missing."""

    info: SymbolInfo
    constraints: Constraints
    ticker: Ticker24h
    book: BookTicker
    last_price: Decimal
    micro: Microstructure
    regime: Regime
    volatility: Volatility
    ema: Decimal
    signal: SignalFrame


def build_snapshot(
    window: SymbolWindow, context: SnapshotContext, *, out_of_order_drops: int
) -> Snapshot | Rejection:
    """The symbol's snapshot, or why it has none in this cycle."""
    if not window.is_warm(context.settings):
        return _reject(window.symbol, ReasonCode.STRAT_WARMUP, _warmth(window))
    if context.now_ms >= window.closed(context.settings).behind_ms:
        behind = window.overdue(context.now_ms)
        frames = ", ".join(interval.value for interval, _ in behind)
        return _reject(window.symbol, ReasonCode.DATA_GAP_DETECTED, f"{frames} are behind")
    if window.guard.is_doubtful:
        return _reject(
            window.symbol, ReasonCode.MD_PRICE_INSANE, "an unconfirmed jump of the price"
        )
    parts = _parts(window, context, out_of_order_drops)
    if not isinstance(parts, _Parts):
        return parts
    try:
        snapshot = _assemble(window, context, parts)
    except ValueError as error:
        return _reject(window.symbol, ReasonCode.STRAT_INPUT_INVALID, str(error))
    problems = problems_of(snapshot, context.settings, now_ms=context.now_ms)
    if problems:
        return _reject(window.symbol, ReasonCode.STRAT_INPUT_INVALID, "; ".join(problems))
    return snapshot


def deep_features(
    window: SymbolWindow, context: SnapshotContext, *, out_of_order_drops: int
) -> DeepFeatures:
    """What the deep scan looks at; readings are None while the symbol is not warm."""
    settings, book, now_ms = context.settings, window.book, context.now_ms
    closed = window.closed(settings)
    volatility = closed.volatility
    if (
        book is not None
        and context.ws_ok
        and now_ms < closed.behind_ms
        and closed.is_warm
        and window.ring.is_warm
        and not window.guard.is_doubtful
    ):
        return DeepFeatures(
            symbol=window.symbol,
            warm=True,
            regime=closed.leaning,
            microstructure=window.ring.read(book, out_of_order_drops),
            atr14_5m_bps=0 if volatility is None else volatility.atr14_5m_bps,
            cost_inputs=window.cost_inputs(settings, now_ms),
            returns=returns_of_readings(closed),
        )
    return DeepFeatures(
        symbol=window.symbol,
        warm=False,
        regime=None,
        microstructure=None,
        atr14_5m_bps=0 if volatility is None else volatility.atr14_5m_bps,
        cost_inputs=window.cost_inputs(settings, now_ms),
        returns=None,
    )


def snapshot_hash(snapshot: Snapshot, *, candles_sha256: str | None = None) -> str:
    """Hash of everything that a decision depends on.

    Excluded are the day's statistics, health, and every time and id. EMA, volume ratio and depth
    need no place of their own: the first two follow from the candles, the depth acts only through
    the slippage in the cost inputs. The constraints are covered by their filters hash.
    """
    once = _json_of_part
    moving = _Moving(microstructure=snapshot.microstructure, prices=snapshot.prices)
    return sha256_hex(
        _HASHED
        % (
            once(candles_sha256 or hash_of(snapshot.candles_5m)),
            once(snapshot.config_hash),
            once(snapshot.cost_inputs),
            once(snapshot.filters_hash),
            canonical_json(moving)[1:-1],
            once(snapshot.regime),
            once(snapshot.returns),
            once(snapshot.symbol),
            once(snapshot.symbol_status),
            once(snapshot.thresholds_hash),
            once(snapshot.volatility),
        )
    )


def snapshot_json(snapshot: Snapshot) -> bytes:
    """The canonical JSON of a snapshot; its candles are encoded once, not once per snapshot.

    The candles are most of the text, stay the same until another one closes, and have the first of
    the sorted names.
    """
    rest = canonical_json(msgspec.structs.replace(snapshot, candles_5m=()))
    candles = canonical_json_once(snapshot.candles_5m)
    return b"".join((b'{"candles_5m":', candles, rest[len(b'{"candles_5m":[]') :]))


def problems_of(snapshot: Snapshot, settings: Settings, *, now_ms: int) -> tuple[str, ...]:
    """Every rule that an assembled snapshot breaks, in words; empty when it is valid.

    Prices, candles and scores are also checked by their own types.
    """
    return (
        *_missing(snapshot),
        *_ill_sized(snapshot),
        *_ill_timed(snapshot, settings, now_ms),
        *_insane_readings(snapshot),
        *_insane_market(snapshot),
    )


def _missing(snapshot: Snapshot) -> Iterator[str]:
    for name in _NAMED:
        if getattr(snapshot, name) == "":
            yield f"{name} is empty"
    if snapshot.filters_hash != snapshot.constraints.filters_hash:
        yield "filters_hash differs"


def _ill_sized(snapshot: Snapshot) -> Iterator[str]:
    returns = snapshot.returns
    if len(snapshot.candles_5m) != EMA_CANDLES:
        yield f"{len(snapshot.candles_5m)} candles of 5m"
    if snapshot.regime.frames.keys() != _FRAMES:
        yield "a frame of the regime is missing"
    if returns.timeframe is not _M5:
        yield "returns are not of 5m"
    if len(returns.log_return_bps) != returns.window:
        yield "returns do not fill their window"
    if not 0 <= returns.missing_count <= returns.window:
        yield "missing_count is out of its window"


def _ill_timed(snapshot: Snapshot, settings: Settings, now_ms: int) -> Iterator[str]:
    """Only the day's statistics may be older, by one scan, since they are read once per scan."""
    oldest = now_ms - settings.health.rest_stale_ms_pause
    newest = now_ms + settings.time.recv_window_ms
    if not oldest <= snapshot.exchange_time_ms <= newest:
        yield "exchange_time_ms is out of its window"
    if not oldest <= snapshot.local_received_ms <= newest:
        yield "local_received_ms is out of its window"
    scanned_ms = snapshot.market_24h.source_ts_ms
    if not oldest - settings.timing.universe_interval_ms <= scanned_ms <= newest:
        yield "market_24h.source_ts_ms is out of its window"


def _insane_readings(snapshot: Snapshot) -> Iterator[str]:
    micro, atr = snapshot.microstructure, snapshot.volatility
    if not _is_positive(snapshot.ema20_5m):
        yield "ema20_5m is not positive"
    if snapshot.volume_ratio_5m_x10000 < 0:
        yield "volume_ratio_5m_x10000 is negative"
    if atr.atr14_5m_bps < 0 or atr.atr14_15m_bps < 0:
        yield "an ATR is negative"
    if not 0 <= micro.bid_ask_imbalance_p50_10s_x10000 <= 10_000:
        yield "bid_ask_imbalance_p50_10s_x10000 is out of 0..10000"
    if not (
        0 <= micro.spread_bps_p50_60s <= micro.spread_bps_p90_60s
        and micro.spread_current_bps >= 0
        and micro.microvol_bps_10s >= 0
    ):
        yield "a reading of the minute is out of order"
    if not all(map(_is_directional, snapshot.regime.frames.values())):
        yield "a directional reading is out of 0..100"


def _insane_market(snapshot: Snapshot) -> Iterator[str]:
    day, bids, asks = snapshot.market_24h, snapshot.depth_top5_bids, snapshot.depth_top5_asks
    if not (day.quote_volume.is_finite() and day.quote_volume >= ZERO):
        yield "quote_volume is insane"
    if day.trades < 0:
        yield "trades are negative"
    if not all(_is_positive(level.price) and _is_positive(level.qty) for level in (*bids, *asks)):
        yield "a level of the depth is insane"
    if bids and asks and not bids[0].price <= asks[0].price:
        yield "the depth is crossed"


def _is_directional(frame: FrameStrength) -> bool:
    return (
        0 <= frame.adx_x10000 <= _ADX_MAX
        and 0 <= frame.plus_di_x10000 <= _ADX_MAX
        and 0 <= frame.minus_di_x10000 <= _ADX_MAX
    )


def _is_positive(value: Decimal) -> bool:
    return value.is_finite() and value > ZERO


def _parts(
    window: SymbolWindow, context: SnapshotContext, out_of_order_drops: int
) -> _Parts | Rejection:
    """All readings, or a rejection that names those that are missing."""
    book, info = window.book, window.info
    closed, signal = window.closed(context.settings), window.signal(context.settings)
    found = (
        info,
        info.constraints if info is not None else None,
        window.ticker,
        book,
        window.last_price,
        window.ring.read(book, out_of_order_drops) if book is not None else None,
        window.regime(closed),
        closed.volatility,
        signal.ema,
        signal,
    )
    if None in found:
        names = zip(_Parts._fields, found, strict=True)
        missing = ", ".join(name for name, value in names if value is None)
        return _reject(window.symbol, ReasonCode.STRAT_MISSING_FIELD, missing)
    return _Parts._make(found)


def _assemble(window: SymbolWindow, context: SnapshotContext, parts: _Parts) -> Snapshot:
    settings, signal = context.settings, parts.signal
    depth = window.usable_depth(context.now_ms)
    draft = Snapshot(
        symbol=window.symbol,
        symbol_status=parts.info.status,
        regime=parts.regime,
        microstructure=parts.micro,
        volatility=parts.volatility,
        prices=_prices(parts.book, parts.last_price),
        ema20_5m=parts.ema,
        volume_ratio_5m_x10000=signal.volume_ratio_x10000,
        candles_5m=signal.candles,
        cost_inputs=window.cost_inputs(settings, context.now_ms),
        market_24h=Market24h(
            quote_volume=parts.ticker.quote_volume,
            trades=parts.ticker.trades,
            price_change_bps=parts.ticker.price_change_bps,
            source_ts_ms=parts.ticker.close_time_ms,
        ),
        health=_health(window, context, parts.info),
        returns=window.returns(settings),
        depth_top5_bids=depth.bids[:_TOP] if depth is not None else (),
        depth_top5_asks=depth.asks[:_TOP] if depth is not None else (),
        constraints=parts.constraints,
        filters_hash=parts.constraints.filters_hash,
        config_hash=context.config_hash,
        thresholds_hash=context.thresholds_hash,
        exchange_time_ms=window.exchange_time_ms,
        local_received_ms=window.local_received_ms,
        snapshot_id="",
        snapshot_hash="",
    )
    return identified(draft, candles_sha256=signal.candles_sha256)


def identified(draft: Snapshot, *, candles_sha256: str | None = None) -> Snapshot:
    """The same snapshot with its hash and id; the candles' hash can be passed in."""
    digest = snapshot_hash(draft, candles_sha256=candles_sha256)
    return msgspec.structs.replace(
        draft,
        snapshot_hash=digest,
        snapshot_id=ids.snapshot_id(draft.symbol, draft.exchange_time_ms, digest),
    )


def _prices(book: BookTicker, last_price: Decimal) -> Prices:
    return Prices(
        best_bid=plain(book.bid),
        best_ask=plain(book.ask),
        mid_price=plain((book.bid + book.ask) / 2),
        last_price=plain(last_price),
    )


def _health(window: SymbolWindow, context: SnapshotContext, info: SymbolInfo) -> SnapshotHealth:
    return SnapshotHealth(
        filters_ok=not info.problem,
        ws_ok=context.ws_ok,
        recent_rejects=window.recent_rejects,
        quarantined_until_ms=window.quarantined_until_ms,
    )


def _warmth(window: SymbolWindow) -> str:
    sizes = ", ".join(f"{interval} {len(series)}" for interval, series in window.series.items())
    return f"candles {sizes}; minute of books {'full' if window.ring.is_warm else 'not full'}"


def _reject(symbol: str, reason: ReasonCode, detail: str) -> Rejection:
    return Rejection(symbol=symbol, reasons=(reason,), detail=detail)
