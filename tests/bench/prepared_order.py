"""What stands ready for the minimal program before a tick: everything no tick changes."""

import msgspec
from tests.bench.minimal_order import Prepared

from livespot.contracts import ids
from livespot.contracts.canonical import canonical_json, hash_of
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Mode
from livespot.rules import edge
from livespot.rules.planning import fallback_of
from livespot.rules.risk_counters import SymbolCounters
from livespot.rules.thresholds import constraints_hash

_HASHED = ("regime", "volatility", "cost_inputs", "returns")
_NAMES = ("symbol", "symbol_status", "filters_hash", "config_hash", "thresholds_hash")
_FRESH = ("microstructure", "prices", "snapshot_hash", "snapshot_id")


def prepared(snapshot: Snapshot, settings: Settings, *, key: str, secret: str) -> Prepared:
    """From a snapshot of the instant; of what a tick changes nothing is taken."""
    micro, costs, limits = snapshot.microstructure, snapshot.cost_inputs, snapshot.constraints
    strategy, risk, entry = settings.strategy, settings.risk, settings.entry
    adaptive = settings.adaptive
    exits = edge.exits_of(snapshot.regime.label, snapshot.volatility.atr14_5m_bps, settings.exit)
    fallback = fallback_of(snapshot, 0, settings)
    plain = msgspec.json.decode(canonical_json(snapshot))
    ready = {name: msgspec.Raw(canonical_json(value)) for name, value in plain.items()}
    return Prepared(
        symbol=snapshot.symbol,
        mode=Mode.SIM.value,
        run_id="run_bench",
        stamp=ids.cycle_id("", 0, snapshot.exchange_time_ms)[4:19],
        hashed={
            **{name: ready[name] for name in (*_NAMES, *_HASHED)},
            "candles_5m_sha256": msgspec.Raw(canonical_json(hash_of(snapshot.candles_5m))),
        },
        stored={name: text for name, text in ready.items() if name not in _FRESH},
        micro=plain["microstructure"],
        counters=msgspec.Raw(canonical_json(SymbolCounters())),
        constraints_hash=constraints_hash(limits),
        config_hash=snapshot.config_hash,
        prompt_hash="p" * 64,
        model=settings.ai_gate.model,
        strategy=(strategy.id, strategy.version),
        exchange_ms=snapshot.exchange_time_ms,
        last_price=snapshot.prices.last_price,
        ema=snapshot.ema20_5m,
        trend_score=snapshot.regime.trend_score_x10000,
        trend_threshold=strategy.trend_threshold,
        imbalance=micro.bid_ask_imbalance_p50_10s_x10000,
        volume_ratio=snapshot.volume_ratio_5m_x10000,
        atr_bps=snapshot.volatility.atr14_5m_bps,
        sl_bps=exits.sl_bps,
        tp_bps=exits.tp_bps,
        cost_bps_without_spread=edge.cost_bps(costs, micro) - micro.spread_current_bps,
        fees_bps=costs.maker_fee_bps + costs.taker_fee_bps,
        slippage_bps=costs.slippage_est_entry_maker_bps + costs.slippage_est_exit_taker_bps,
        taker_slippage_bps=costs.slippage_est_entry_taker_bps,
        base_fee_bps=costs.base_fee_bps,
        tick=limits.tick_size,
        step=limits.step_size,
        min_qty=limits.min_qty,
        max_qty=limits.max_qty,
        min_notional=limits.min_notional,
        min_price=limits.min_price,
        max_price=limits.max_price,
        max_spread=strategy.max_spread_entry_bps,
        max_delta=strategy.max_delta_spread_bps_10s,
        min_imbalance=strategy.min_imbalance_buy,
        min_volume=float(strategy.min_volume_ratio),
        pullback=(strategy.pullback_min, strategy.pullback_max),
        min_edge=strategy.min_edge_bps,
        min_edge_fallback=strategy.min_edge_bps_fallback,
        fallback=msgspec.json.decode(canonical_json(fallback)),
        fallback_max_spread=entry.fallback_max_spread_bps,
        ttl_ms=entry.maker_ttl_ms,
        reprices=entry.reprice_max,
        weights=tuple(float(weight) for weight in strategy.weights),
        stop_offset_bps=settings.exit.stop_limit_offset_bps,
        spread_factor=adaptive.spread_factor,
        volatility_factor=adaptive.volatility_factor,
        liquidity_floor=adaptive.liquidity_floor,
        normal_atr_bps=adaptive.normal_atr_5m_bps,
        per_trade=risk.per_trade,
        max_symbol=risk.max_exposure_symbol,
        max_total=risk.max_exposure_total,
        max_loss=risk.max_daily_loss,
        max_drawdown=risk.max_drawdown,
        max_trades=risk.max_trades_per_day,
        max_trades_window=risk.max_trades_per_window,
        max_open=risk.max_open_orders_total,
        max_latency_ms=risk.ws_latency_threshold_ms,
        max_dust_bps=risk.max_dust_bps,
        max_unfilled_pct=settings.churn.unfilled_critical_pct,
        max_age_ms=settings.timing.decision_max_age_ms,
        free_quote=risk.max_exposure_total * 10,
        api_key=key,
        secret=secret.encode(),
        recv_window_ms=5000,
    )
