"""Builds, validates and hashes the one thing a decision may look at."""

from decimal import Decimal

import msgspec

from livespot.contracts import ids
from livespot.contracts.canonical import canonical_json, canonical_json_once, hash_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import (
    BookTicker,
    Constraints,
    DeepFeatures,
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
from livespot.rules.closed_readings import SignalFrame, plain
from livespot.rules.indicators import EMA_CANDLES
from livespot.rules.symbol_window import SymbolWindow

_TOP = 5
_ADX_MAX = 1_000_000


class SnapshotContext(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for every symbol of a cycle; `now_ms` is the exchange's time."""

    settings: Settings
    config_hash: str
    thresholds_hash: str
    now_ms: int
    ws_ok: bool


class _Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol's readings once none of them is missing."""

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
    """The symbol's snapshot, or why there is none this cycle."""
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
    if isinstance(parts, Rejection):
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
        and window.is_warm(settings)
        and not window.guard.is_doubtful
    ):
        return DeepFeatures(
            symbol=window.symbol,
            warm=True,
            regime=closed.leaning,
            microstructure=window.ring.read(book, out_of_order_drops),
            atr14_5m_bps=0 if volatility is None else volatility.atr14_5m_bps,
            cost_inputs=window.cost_inputs(settings, now_ms),
            returns=window.returns(settings),
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
    """Hash of what a decision depends on.

    Excluded are the day's statistics, health, every time and id. EMA, volume ratio and the top of
    the depth need no place of their own: the first two follow from the candles, the depth acts
    only through the slippage in the cost inputs; the constraints are named by their filters hash.
    """
    return hash_of(
        {
            "symbol": snapshot.symbol,
            "symbol_status": snapshot.symbol_status,
            "filters_hash": snapshot.filters_hash,
            "config_hash": snapshot.config_hash,
            "thresholds_hash": snapshot.thresholds_hash,
            "regime": snapshot.regime,
            "microstructure": snapshot.microstructure,
            "volatility": snapshot.volatility,
            "prices": snapshot.prices,
            "cost_inputs": snapshot.cost_inputs,
            "returns": snapshot.returns,
            "candles_5m_sha256": candles_sha256 or hash_of(snapshot.candles_5m),
        }
    )


def snapshot_json(snapshot: Snapshot) -> bytes:
    """The canonical JSON of a snapshot; its candles are encoded once, not once per snapshot.

    They are most of its text, they stay the same until another one closes, and theirs is the first
    of the sorted names.
    """
    rest = canonical_json(msgspec.structs.replace(snapshot, candles_5m=()))
    candles = canonical_json_once(snapshot.candles_5m)
    return b"".join((b'{"candles_5m":', candles, rest[len(b'{"candles_5m":[]') :]))


def problems_of(snapshot: Snapshot, settings: Settings, *, now_ms: int) -> tuple[str, ...]:
    """Every broken rule of an assembled snapshot, in words; empty when it is valid.

    Prices, candles and scores are also checked where their messages are made.
    """
    rules = (
        *_presence_rules(snapshot),
        *_time_rules(snapshot, settings, now_ms),
        *_number_rules(snapshot),
    )
    return tuple(problem for holds, problem in rules if not holds)


_Rules = tuple[tuple[bool, str], ...]


def _presence_rules(snapshot: Snapshot) -> _Rules:
    returns = snapshot.returns
    named = ("symbol", "symbol_status", "filters_hash", "config_hash", "thresholds_hash")
    return (
        *((getattr(snapshot, name) != "", f"{name} is empty") for name in named),
        (snapshot.filters_hash == snapshot.constraints.filters_hash, "filters_hash differs"),
        (len(snapshot.candles_5m) == EMA_CANDLES, f"{len(snapshot.candles_5m)} candles of 5m"),
        (set(snapshot.regime.frames) == set(Interval), "a frame of the regime is missing"),
        (returns.timeframe is Interval.M5, "returns are not of 5m"),
        (len(returns.log_return_bps) == returns.window, "returns do not fill their window"),
        (0 <= returns.missing_count <= returns.window, "missing_count is out of its window"),
    )


def _time_rules(snapshot: Snapshot, settings: Settings, now_ms: int) -> _Rules:
    """Only the day's statistics may be older, by one scan: no scan reads fresher ones."""
    oldest = now_ms - settings.health.rest_stale_ms_pause
    newest = now_ms + settings.time.recv_window_ms
    stamps = (
        ("exchange_time_ms", snapshot.exchange_time_ms, oldest),
        ("local_received_ms", snapshot.local_received_ms, oldest),
        (
            "market_24h.source_ts_ms",
            snapshot.market_24h.source_ts_ms,
            oldest - settings.timing.universe_interval_ms,
        ),
    )
    return tuple(
        (since <= stamp <= newest, f"{name} is out of its window") for name, stamp, since in stamps
    )


def _number_rules(snapshot: Snapshot) -> _Rules:
    micro, day, atr = snapshot.microstructure, snapshot.market_24h, snapshot.volatility
    bids, asks = snapshot.depth_top5_bids, snapshot.depth_top5_asks
    return (
        (_is_positive(snapshot.ema20_5m), "ema20_5m is not positive"),
        (snapshot.volume_ratio_5m_x10000 >= 0, "volume_ratio_5m_x10000 is negative"),
        (min(atr.atr14_5m_bps, atr.atr14_15m_bps) >= 0, "an ATR is negative"),
        (
            0 <= micro.bid_ask_imbalance_p50_10s_x10000 <= 10_000,
            "bid_ask_imbalance_p50_10s_x10000 is out of 0..10000",
        ),
        (
            min(micro.spread_current_bps, micro.spread_bps_p50_60s, micro.microvol_bps_10s) >= 0
            and micro.spread_bps_p50_60s <= micro.spread_bps_p90_60s,
            "a reading of the minute is out of order",
        ),
        (
            all(
                0 <= part <= _ADX_MAX
                for frame in snapshot.regime.frames.values()
                for part in (frame.adx_x10000, frame.plus_di_x10000, frame.minus_di_x10000)
            ),
            "a directional reading is out of 0..100",
        ),
        (day.quote_volume.is_finite() and day.quote_volume >= 0, "quote_volume is insane"),
        (day.trades >= 0, "trades are negative"),
        (
            all(_is_positive(level.price) and _is_positive(level.qty) for level in (*bids, *asks)),
            "a level of the depth is insane",
        ),
        (not (bids and asks) or bids[0].price <= asks[0].price, "the depth is crossed"),
    )


def _is_positive(value: Decimal) -> bool:
    return value.is_finite() and value > 0


def _parts(
    window: SymbolWindow, context: SnapshotContext, out_of_order_drops: int
) -> _Parts | Rejection:
    """All readings present, or the first list of what is missing."""
    book, info = window.book, window.info
    closed, signal = window.closed(context.settings), window.signal(context.settings)
    found: dict[str, object] = {
        "info": info,
        "constraints": info.constraints if info is not None else None,
        "ticker": window.ticker,
        "book": book,
        "last_price": window.last_price,
        "micro": window.ring.read(book, out_of_order_drops) if book is not None else None,
        "regime": window.regime(closed),
        "volatility": closed.volatility,
        "ema": signal.ema,
    }
    missing = [name for name, value in found.items() if value is None]
    if missing:
        return _reject(window.symbol, ReasonCode.STRAT_MISSING_FIELD, ", ".join(missing))
    return _Parts(**found, signal=signal)  # type: ignore[arg-type]  # none of them is None here


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
    """The same snapshot with its hash and id; the candles' own hash may be known already."""
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
