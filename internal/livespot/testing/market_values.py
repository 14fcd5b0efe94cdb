"""Plausible market values for tests: a snapshot that passes every check, and recorded candles."""

from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from livespot.contracts.market import (
    BookTicker,
    Candle,
    Constraints,
    CostInputs,
    FrameStrength,
    Market24h,
    Microstructure,
    Prices,
    Regime,
    Returns,
    Snapshot,
    SnapshotHealth,
    SymbolInfo,
    Ticker24h,
    Volatility,
)
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Direction, FilterPolicy, Interval, RegimeLabel
from livespot.exchange.recorded import load_recorded, packaged_data
from livespot.rules.snapshot import identified
from livespot.rules.thresholds import config_hash, thresholds_hash

NOW_MS = 1_700_000_100_000


def a_candle(open_time_ms: int, close: str = "100", volume: str = "10") -> Candle:
    """A candle that opened where it closed, with a range of one."""
    price = Decimal(close)
    return Candle(
        open_time_ms=open_time_ms,
        open=price,
        high=price + Decimal("0.5"),
        low=price - Decimal("0.5"),
        close=price,
        volume=Decimal(volume),
    )


def some_constraints(**changes: Any) -> Constraints:
    base = Constraints(
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(9000),
        min_notional=Decimal(5),
        max_notional=None,
        market_step_size=None,
        market_min_qty=None,
        market_max_qty=None,
        min_price=Decimal("0.01"),
        max_price=Decimal(1_000_000),
        price_decimals=2,
        qty_decimals=3,
        max_num_orders=200,
        max_num_algo_orders=5,
        trailing_delta_bounds=None,
        percent_price=None,
        filters_hash="f" * 64,
        policy=FilterPolicy.ENFORCED,
    )
    return msgspec.structs.replace(base, **changes)


def a_symbol(symbol: str = "SOLUSDT", **changes: Any) -> SymbolInfo:
    base = SymbolInfo(
        symbol=symbol,
        status="TRADING",
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        spot_allowed=True,
        order_types=("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"),
        oco_allowed=True,
        oto_allowed=True,
        opo_allowed=True,
        trailing_allowed=True,
        cancel_replace_allowed=True,
        constraints=some_constraints(),
    )
    return msgspec.structs.replace(base, **changes)


def a_day(symbol: str = "SOLUSDT", **changes: Any) -> Ticker24h:
    base = Ticker24h(
        symbol=symbol,
        last_price=Decimal(100),
        bid=Decimal("99.99"),
        ask=Decimal("100.01"),
        quote_volume=Decimal(50_000_000),
        price_change_bps=250,
        trades=90_000,
        close_time_ms=NOW_MS,
    )
    return msgspec.structs.replace(base, **changes)


def a_book(update_id: int = 1, symbol: str = "SOLUSDT", **changes: Any) -> BookTicker:
    base = BookTicker(
        symbol=symbol,
        update_id=update_id,
        bid=Decimal("99.99"),
        bid_qty=Decimal(70),
        ask=Decimal("100.01"),
        ask_qty=Decimal(30),
        local_received_ms=NOW_MS,
    )
    return msgspec.structs.replace(base, **changes)


def a_snapshot(settings: Settings | None = None, **changes: Any) -> Snapshot:
    """A rising market in a small dip, cheap to trade: the default strategy wants it.

    `changes` replace whole fields; hash and id are made afterwards.
    """
    chosen = settings or Settings()
    volumes = ["10"] * 39 + ["15"]
    base = Snapshot(
        symbol="SOLUSDT",
        symbol_status="TRADING",
        regime=Regime(
            label=RegimeLabel.TREND,
            direction=Direction.BULL,
            trend_score_x10000=8000,
            range_score_x10000=1000,
            frames={
                frame.value: FrameStrength(
                    adx_x10000=300_000, plus_di_x10000=280_000, minus_di_x10000=110_000
                )
                for frame in Interval
            },
        ),
        microstructure=Microstructure(
            spread_current_bps=3,
            spread_bps_p50_60s=3,
            spread_bps_p90_60s=4,
            delta_spread_bps_p90_10s=-1,
            bid_ask_imbalance_p50_10s_x10000=6000,
            microvol_bps_10s=1,
            out_of_order_drops=0,
        ),
        volatility=Volatility(atr14_5m_bps=100, atr14_15m_bps=160),
        prices=Prices(
            best_bid=Decimal("99.69"),
            best_ask=Decimal("99.72"),
            mid_price=Decimal("99.705"),
            last_price=Decimal("99.70"),
        ),
        ema20_5m=Decimal(100),
        volume_ratio_5m_x10000=15_000,
        candles_5m=tuple(
            a_candle(NOW_MS - (40 - i) * Interval.M5.ms, volume=volume)
            for i, volume in enumerate(volumes)
        ),
        cost_inputs=CostInputs(
            maker_fee_bps=2,
            taker_fee_bps=4,
            slippage_est_entry_maker_bps=1,
            slippage_est_entry_taker_bps=3,
            slippage_est_exit_taker_bps=2,
            base_fee_bps=10,
        ),
        market_24h=Market24h(
            quote_volume=Decimal(50_000_000),
            trades=90_000,
            price_change_bps=250,
            source_ts_ms=NOW_MS,
        ),
        health=SnapshotHealth(
            filters_ok=True, ws_ok=True, recent_rejects=0, quarantined_until_ms=0
        ),
        returns=Returns(
            timeframe=Interval.M5, window=72, log_return_bps=(0,) * 72, missing_count=0
        ),
        depth_top5_bids=(),
        depth_top5_asks=(),
        constraints=some_constraints(),
        filters_hash="f" * 64,
        config_hash=config_hash(chosen),
        thresholds_hash=thresholds_hash(chosen),
        exchange_time_ms=NOW_MS,
        local_received_ms=NOW_MS,
        snapshot_id="",
        snapshot_hash="",
    )
    return identified(msgspec.structs.replace(base, **changes))


@cache
def recorded_minutes(symbol: str) -> tuple[Candle, ...]:
    """The packaged one-minute candles of a symbol, in money."""
    series = load_recorded(packaged_data(), frozenset({symbol})).series[symbol]
    tick, step = series.tick_size, series.step_size
    rows = (series.at(row) for row in range(len(series.minutes)))
    return tuple(
        Candle(
            open_time_ms=row.open_ms,
            open=row.open * tick,
            high=row.high * tick,
            low=row.low * tick,
            close=row.close * tick,
            volume=row.volume * step,
        )
        for row in rows
    )


def in_frames(minutes: Iterable[Candle], interval: Interval, end_ms: int) -> tuple[Candle, ...]:
    """Candles of a longer frame that are closed at `end_ms`; a frame without minutes is absent."""
    groups: dict[int, list[Candle]] = {}
    for minute in minutes:
        start = minute.open_time_ms - minute.open_time_ms % interval.ms
        if start + interval.ms <= end_ms:
            groups.setdefault(start, []).append(minute)
    return tuple(
        Candle(
            open_time_ms=start,
            open=group[0].open,
            high=max(minute.high for minute in group),
            low=min(minute.low for minute in group),
            close=group[-1].close,
            volume=sum((minute.volume for minute in group), Decimal(0)),
        )
        for start, group in sorted(groups.items())
    )
