"""The least a careful engineer would run between a book ticker's bytes and an order's bytes.

One flat function over dicts, exact money, no layers, doing all the work that the trade and its
record require and none that they do not:

* decoding, the order of update ids, the sanity of the book, the present spread, the dip below a
  prepared average, every threshold of the strategy, the score, the reward and the fallback;
* prices and quantities of all three legs floored to their grids and held against the filters, what
  is left to sell after the fee, the account's limits (mode, loss, drawdown, trades of the day and
  of the window, exposure, free quote, latency, pending, cooldown, quarantine, adapted margin);
* the snapshot's hash over all it must cover, the decision's id over its own content, the intent's
  id, and from it the client ids of the entry, its two legs and their list;
* the parameters with an HMAC over their sorted text, and the request's JSON;
* the facts of the audit, put into a queue: snapshot, decision, verdict and request each encoded to
  JSON exactly once, with the gate being off, the reserve, the aliases and the step to "sent".

The ids are the very ids the runtime derives, so both programs must build the same request down to
the signature.

Left out, since it depends on no tick and stands prepared: indicators of closed candles, readings of
the sampled minute, costs, returns, and the hashes of candles, filters and settings. What of the
snapshot stays as it was, hashed or stored, stands ready as JSON and is only copied. The symbol of
the comparison states no price band and no market order is involved, so neither is looked at.
"""

import hashlib
import hmac
from collections import deque
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import msgspec

_HUGE = Decimal("1e18")
_BPS = Decimal(10_000)
_ONE = Decimal(1)
_HEADROOM = Decimal("1.02")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(166, 0, -10)


class _Book(msgspec.Struct, gc=False):
    u: int
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


class _Frame(msgspec.Struct, gc=False):
    data: _Book


_DECODE = msgspec.json.Decoder(_Frame).decode
_CANONICAL = msgspec.json.Encoder(order="sorted").encode
_ENCODE = msgspec.json.Encoder().encode


@dataclass(slots=True, kw_only=True)
class Prepared:
    """What stands ready before the tick: readings, rules, limits and the state of the account.

    `hashed` is what of the hashed snapshot no tick changes, `stored` the same of the stored one,
    `micro` the readings of the sampled minute, `counters` the account's counters as recorded.
    """

    symbol: str
    mode: str
    run_id: str
    stamp: str
    hashed: dict[str, msgspec.Raw]
    stored: dict[str, msgspec.Raw]
    micro: dict[str, int]
    counters: msgspec.Raw
    constraints_hash: str
    config_hash: str
    prompt_hash: str
    model: str
    strategy: tuple[str, str]
    exchange_ms: int
    last_price: Decimal
    ema: Decimal
    trend_score: int
    trend_threshold: int
    imbalance: int
    volume_ratio: int
    atr_bps: int
    sl_bps: int
    tp_bps: int
    cost_bps_without_spread: int
    fees_bps: int
    slippage_bps: int
    taker_slippage_bps: int
    base_fee_bps: int
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    min_price: Decimal
    max_price: Decimal
    max_spread: int
    max_delta: int
    min_imbalance: int
    min_volume: float
    pullback: tuple[int, int]
    min_edge: int
    min_edge_fallback: int
    fallback: dict[str, Any]
    fallback_max_spread: int
    ttl_ms: int
    reprices: int
    weights: tuple[float, ...]
    stop_offset_bps: int
    spread_factor: int
    volatility_factor: int
    liquidity_floor: int
    normal_atr_bps: int
    per_trade: Decimal
    max_symbol: Decimal
    max_total: Decimal
    max_loss: Decimal
    max_drawdown: Decimal
    max_trades: int
    max_trades_window: int
    max_open: int
    max_latency_ms: int
    max_dust_bps: int
    max_unfilled_pct: int
    max_age_ms: int
    free_quote: Decimal
    exposure_total: Decimal = Decimal(0)
    exposure_symbol: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)
    trades_today: int = 0
    trades_in_window: int = 0
    losses_in_row: int = 0
    open_entries: int = 0
    latency_ms: int = 0
    unfilled_pct: int = 0
    cooldown_until_ms: int = 0
    streak_until_ms: int = 0
    quarantined_until_ms: int = 0
    normal: bool = True
    api_key: str
    secret: bytes
    recv_window_ms: int
    last_id: int = -1
    cycle: int = 0
    audit: deque[dict[str, Any]] = field(default_factory=deque)


def order_of(raw: bytes, p: Prepared, now_ms: int) -> bytes | None:
    """The signed request this tick leads to, or None."""
    book = _DECODE(raw).data
    bid, ask = book.b, book.a
    if book.u <= p.last_id or not (0 < bid <= ask < _HUGE and 0 <= book.B < _HUGE > book.A >= 0):
        return None
    p.last_id = book.u

    # The strategy.
    b, a = float(bid), float(ask)
    spread = max(1, round((a - b) / ((a + b) / 2) * 10_000))
    delta = p.micro["delta_spread_bps_p90_10s"]
    pullback = (p.ema - p.last_price) / p.ema * _BPS
    cost = p.cost_bps_without_spread + spread
    edge = p.tp_bps - p.sl_bps - cost
    if (
        p.trend_score < p.trend_threshold
        or spread > p.max_spread
        or delta > p.max_delta
        or p.imbalance < p.min_imbalance
        or p.volume_ratio < p.min_volume * 10_000
        or not p.pullback[0] <= pullback <= p.pullback[1]
        or not 0 < p.sl_bps < p.tp_bps
        or edge < p.min_edge
    ):
        return None
    low, high = p.pullback
    least = p.min_volume
    parts = (
        (p.trend_score - p.trend_threshold) / (10_000 - p.trend_threshold),
        (float(pullback) - low) / (high - low),
        0.5 * _unit(1 - spread / p.max_spread)
        + 0.25 * _unit(1 - delta / p.max_delta)
        + 0.25 * _unit((p.imbalance - p.min_imbalance) / (10_000 - p.min_imbalance)),
        (p.volume_ratio / 10_000 - least) / (max(2.0, least + 0.8) - least),
    )
    score = round(
        _unit(sum(weight * _unit(part) for weight, part in zip(p.weights, parts, strict=True)))
        * 10_000
    )
    price = bid // p.tick * p.tick
    tp = price * (_ONE + Decimal(p.tp_bps) / _BPS) // p.tick * p.tick
    sl = price * (_ONE - Decimal(p.sl_bps) / _BPS) // p.tick * p.tick
    if not 0 < sl < price < tp:
        return None
    stop_limit = sl * (_BPS - p.stop_offset_bps) / _BPS // p.tick * p.tick
    by_risk = p.per_trade * price / (price - sl)
    planned = min(min(by_risk, p.max_symbol) / price // p.step * p.step, p.max_qty)
    if planned < p.min_qty or planned * price < p.min_notional:
        return None
    impatient = (
        spread <= p.fallback_max_spread
        and p.taker_slippage_bps <= p.fallback["max_slippage_bps"]
        and edge >= p.min_edge_fallback
    )
    reasons = (
        "STRAT_MICROSTRUCT_OK",
        "STRAT_IMBALANCE_OK",
        "STRAT_VOLUME_OK",
        "STRAT_REGIME_TREND_OK",
        "STRAT_PULLBACK_OK",
        "STRAT_EXIT_ATR_TP_SL",
        "STRAT_EDGE_OK",
        "STRAT_FALLBACK_ALLOWED" if impatient else "STRAT_FALLBACK_BLOCKED",
        "STRAT_TRAILING_ARM_BLOCKED",
        "STRAT_ENTRY_MAKER_TTL",
        "STRAT_OK",
    )

    # What was seen and what was decided, under the names that follow from them.
    p.cycle += 1
    cycle = hashlib.sha256(f"{p.run_id},{p.cycle}".encode()).hexdigest()
    cycle_id = f"cyc_{p.stamp}_{now_ms % 1000:03d}_{cycle[:6]}"
    micro = {**p.micro, "spread_current_bps": spread}
    prices = {
        "best_bid": _plain(bid),
        "best_ask": _plain(ask),
        "mid_price": _plain((bid + ask) / 2),
        "last_price": p.last_price,
    }
    seen = {**p.hashed, "microstructure": micro, "prices": prices}
    snapshot_hash = hashlib.sha256(_CANONICAL(seen)).hexdigest()
    snapshot_id = f"snap_{p.symbol}_{p.exchange_ms}_{snapshot_hash[:12]}"
    fallback = {**p.fallback, "enabled": impatient}
    decided = {
        "mode": p.mode,
        "symbol": p.symbol,
        "side": "BUY",
        "intent": "ENTRY",
        "entry_kind": "MAKER_FIRST",
        "desired_price": price,
        "limit_price": price,
        "qty": planned,
        "time_in_force": "GTC",
        "ttl_ms": p.ttl_ms,
        "reprice_ms": p.ttl_ms,
        "max_reprices": p.reprices,
        "fallback": fallback,
        "tp_price": tp,
        "sl_price": sl,
        "protection_kind": "OCO",
        "trailing_mode": "OFF",
        "trailing_trigger_price": "0",
        "trailing_distance_bps": 0,
        "edge_score_x10000": score,
        "edge_bps_expected": edge,
        "reasons": reasons,
        "snapshot_hash": snapshot_hash,
        "constraints_hash": p.constraints_hash,
        "config_hash": p.config_hash,
        "strategy_id": p.strategy[0],
        "strategy_version": p.strategy[1],
    }
    decision_id = "dec_" + hashlib.sha256(_CANONICAL(decided)).hexdigest()

    # Risk.
    rooms = {
        "risk_per_trade": by_risk,
        "exposure_symbol_room": p.max_symbol - p.exposure_symbol,
        "exposure_total_room": p.max_total - p.exposure_total,
        "free_quote": p.free_quote - p.reserved,
        "max_qty": p.max_qty * price,
    }
    binding = min(rooms, key=rooms.__getitem__)
    quote = rooms[binding]
    qty = min(planned, quote / price // p.step * p.step)
    multiplier = 10_000
    if spread > (p.micro["spread_bps_p50_60s"] * p.spread_factor + 5000) // 10_000:
        multiplier = 12_000
    if p.atr_bps > (p.normal_atr_bps * p.volatility_factor + 5000) // 10_000:
        multiplier = 13_000
    if p.imbalance < p.liquidity_floor:
        multiplier = 14_000
    min_edge = (p.min_edge * multiplier + 5000) // 10_000
    sellable = (qty * (_ONE - Decimal(p.base_fee_bps) / _BPS)).quantize(
        p.step, rounding=ROUND_FLOOR
    )
    distance = price - sl
    if (
        not p.normal
        or p.open_entries
        or now_ms < p.cooldown_until_ms
        or now_ms < p.streak_until_ms
        or now_ms < p.quarantined_until_ms
        or p.equity <= p.max_loss
        or p.peak - p.equity >= p.max_drawdown
        or p.trades_today >= p.max_trades
        or p.trades_in_window >= p.max_trades_window
        or p.latency_ms > p.max_latency_ms
        or p.unfilled_pct >= p.max_unfilled_pct
        or edge < min_edge
        or distance < 2 * p.tick
        or distance * 2 * _BPS < price * p.atr_bps
        or tp - price <= distance
        or not p.min_qty <= qty <= p.max_qty
        or qty * price < p.min_notional
        or sellable - p.step < p.min_qty
        or (sellable - p.step) * stop_limit < _HEADROOM * p.min_notional
        or (qty - sellable) * _BPS > qty * p.max_dust_bps
        or not p.min_price <= stop_limit <= tp <= p.max_price
    ):
        return None

    # The order and its ids.
    intent_id = (
        "oi_"
        + hashlib.sha256(
            _CANONICAL(
                {
                    "mode": p.mode,
                    "symbol": p.symbol,
                    "side": "BUY",
                    "action": "SUBMIT",
                    "attempt": 0,
                    "values": {
                        "type": "LIMIT_MAKER",
                        "price": price,
                        "qty": qty,
                        "tp_price": tp,
                        "sl_price": sl,
                    },
                    "snapshot_hash": snapshot_hash,
                    "constraints_hash": p.constraints_hash,
                }
            )
        ).hexdigest()
    )
    entry_id = _client_id(intent_id)
    tp_id, sl_id, list_id = (
        _client_id(
            "oi_"
            + hashlib.sha256(
                f'{{"attempt":0,"parent_order_intent_id":"{intent_id}","role":"{role}"}}'.encode()
            ).hexdigest()
        )
        for role in ("TP", "SL", "LIST")
    )
    params: dict[str, str | int] = {
        "symbol": p.symbol,
        "listClientOrderId": list_id,
        "workingType": "LIMIT_MAKER",
        "workingSide": "BUY",
        "workingPrice": f"{price:f}",
        "workingQuantity": f"{qty:f}",
        "workingClientOrderId": entry_id,
        "pendingSide": "SELL",
        "pendingAboveType": "LIMIT_MAKER",
        "pendingAbovePrice": f"{tp:f}",
        "pendingAboveClientOrderId": tp_id,
        "pendingBelowType": "STOP_LOSS_LIMIT",
        "pendingBelowStopPrice": f"{sl:f}",
        "pendingBelowPrice": f"{stop_limit:f}",
        "pendingBelowTimeInForce": "GTC",
        "pendingBelowClientOrderId": sl_id,
        "newOrderRespType": "FULL",
        "recvWindow": p.recv_window_ms,
    }
    payload = _ENCODE(params)
    params["timestamp"] = now_ms
    params["apiKey"] = p.api_key
    text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    params["signature"] = hmac.new(p.secret, text.encode(), hashlib.sha256).hexdigest()

    # The record of it.
    snapshot_json = _ENCODE(
        {
            **p.stored,
            "microstructure": micro,
            "prices": prices,
            "snapshot_hash": snapshot_hash,
            "snapshot_id": snapshot_id,
        }
    )
    decision_json = _ENCODE(
        {
            **decided,
            "ts_ms": now_ms,
            "cycle_id": cycle_id,
            "decision_id": decision_id,
            "snapshot_id": snapshot_id,
            "regime": "TREND",
            "sl_bps": p.sl_bps,
            "tp_bps": p.tp_bps,
            "breakeven_hit_x10000": round((p.sl_bps + cost) / (p.tp_bps + p.sl_bps) * 10_000),
            "constraints": p.stored["constraints"],
            "stage": "STRATEGY_PROPOSE",
            "client_order_ids": (entry_id, tp_id, sl_id),
        }
    )
    verdict_json = _ENCODE(
        {
            "verdict": "ALLOW",
            "approved_qty": qty,
            "reasons": ("RISK_OK",)
            if binding == "risk_per_trade"
            else ("RISK_OK", "RISK_SIZE_CAPPED"),
            "costs": {
                "fees_bps": p.fees_bps,
                "slippage_bps": p.slippage_bps,
                "spread_bps": spread,
                "delta_spread_bps": max(0, delta),
            },
            "account": {"free_quote": p.free_quote, "reserved_quote": p.reserved},
            "counters": p.counters,
            "limits": {
                "planned_qty": planned,
                "size_quote": quote,
                "size_binding": binding,
                "risk_per_trade": p.per_trade,
                "stop_distance_bps": distance * _BPS / price,
                "exposure_symbol": p.exposure_symbol,
                "exposure_symbol_max": p.max_symbol,
                "exposure_total": p.exposure_total,
                "exposure_total_max": p.max_total,
                "day_equity": p.equity,
                "daily_loss_max": p.max_loss,
                "drawdown": p.peak - p.equity,
                "drawdown_max": p.max_drawdown,
                "edge_multiplier_x10000": multiplier,
                "edge_min_bps": min_edge,
                "trades_today": p.trades_today,
                "trades_per_day_max": p.max_trades,
                "trades_in_window": p.trades_in_window,
                "trades_per_window_max": p.max_trades_window,
                "open_entries": p.open_entries,
                "open_orders_total_max": p.max_open,
                "losses_in_row": p.losses_in_row,
                "latency_p90_ms": p.latency_ms,
                "unfilled_orders_pct": p.unfilled_pct,
            },
        }
    )
    common = {"at_ms": now_ms, "cycle_id": cycle_id, "decision_id": decision_id, "symbol": p.symbol}
    aliases = ((entry_id, "ENTRY"), (list_id, "LIST"), (tp_id, "TP"), (sl_id, "SL"))
    gate = {"enabled": False, "verdict": "ALLOW", "reasons": ("AIGATE_DISABLED",)}
    p.audit += (
        {**common, "event": "SNAPSHOT_BUILT", "id": snapshot_id, "json": snapshot_json},
        {**common, "event": "DECISION_PROPOSED", "json": decision_json},
        {**common, **gate, "event": "AIGATE_CALL", "model": p.model, "prompt": p.prompt_hash},
        {**common, "event": "RISK_VERDICT", "json": verdict_json},
        {**common, "reserve": price * qty, "expires_at_ms": now_ms + p.max_age_ms},
        {**common, "to": "CREATED", "id": intent_id, "payload": payload, "aliases": aliases},
        {**common, "to": "SENT_UNKNOWN", "id": intent_id},
    )
    return _ENCODE({"id": 1, "method": "orderList.place.opoco", "params": params})


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _plain(value: Decimal) -> Decimal:
    """The one spelling that is hashed."""
    short = value.normalize()
    return short.quantize(_ONE) if short == short.to_integral_value() else short


def _client_id(intent_id: str) -> str:
    bits = int.from_bytes(hashlib.sha256(intent_id.encode()).digest()[:22], "big")
    return "X_" + "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])
