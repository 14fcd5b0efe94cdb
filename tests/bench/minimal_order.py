"""The least a careful engineer would run between a book ticker's bytes and an order's bytes.

Included, in one flat function and exact money: decoding, the order of update ids, the sanity of the
book, the present spread and the dip below a prepared average, every threshold of the strategy, the
score, exits from a prepared range, sizes and prices floored to their grids, the account's limits
(mode, loss, drawdown, trades, exposure, free quote, latency, pending, cooldown, filters), one
SHA-256 over everything the decision looked at, client ids cut from that digest, the parameters of
an entry with its attached profit and stop, an HMAC over their sorted text, the request's JSON, and
one encoded audit record.

Left out, since it depends on no tick and stands prepared: indicators of closed candles, readings of
the sampled minute, costs, returns and hashes of candles, filters and settings.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

import msgspec

_HUGE = Decimal("1e18")
_BPS = Decimal(10_000)


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
_ENCODE = msgspec.json.Encoder(order="sorted").encode


@dataclass(slots=True, kw_only=True)
class Prepared:
    """What stands ready before the tick: readings, rules, limits and the state of the account."""

    symbol: str
    last_price: Decimal
    ema: Decimal
    trend_score: int
    trend_threshold: int
    spread_p50: int
    delta_spread: int
    imbalance: int
    volume_ratio: int
    atr_bps: int
    sl_bps: int
    tp_bps: int
    cost_bps_without_spread: int
    returns: tuple[int, ...]
    hashes: dict[str, str]
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    max_spread: int
    max_delta: int
    min_imbalance: int
    min_volume: int
    pullback: tuple[int, int]
    min_edge: int
    weights: tuple[float, ...]
    per_trade: Decimal
    max_symbol: Decimal
    max_total: Decimal
    max_loss: Decimal
    max_drawdown: Decimal
    max_trades: int
    max_latency_ms: int
    free_quote: Decimal
    exposure_total: Decimal = Decimal(0)
    exposure_symbol: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)
    trades_today: int = 0
    latency_ms: int = 0
    cooldown_until_ms: int = 0
    quarantined_until_ms: int = 0
    normal: bool = True
    pending: bool = False
    fee_share: Decimal = Decimal("0.999")
    api_key: str
    secret: bytes
    recv_window_ms: int
    last_id: int = -1
    audit: list[bytes] = field(default_factory=list)


def order_of(raw: bytes, p: Prepared, now_ms: int) -> bytes | None:
    """The signed request this tick leads to, or None."""
    book = _DECODE(raw).data
    bid, ask = book.b, book.a
    if book.u <= p.last_id or not (0 < bid <= ask < _HUGE and 0 <= book.B < _HUGE > book.A >= 0):
        return None
    p.last_id = book.u
    b, a = float(bid), float(ask)
    spread = max(1, round((a - b) / ((a + b) / 2) * 10_000))
    pullback = (p.ema - p.last_price) / p.ema * _BPS
    edge = p.tp_bps - p.sl_bps - p.cost_bps_without_spread - spread
    if (
        p.trend_score < p.trend_threshold
        or spread > p.max_spread
        or p.delta_spread > p.max_delta
        or p.imbalance < p.min_imbalance
        or p.volume_ratio < p.min_volume
        or not p.pullback[0] <= pullback <= p.pullback[1]
        or edge < p.min_edge
    ):
        return None
    parts = (
        (p.trend_score - p.trend_threshold) / (10_000 - p.trend_threshold),
        (float(pullback) - p.pullback[0]) / (p.pullback[1] - p.pullback[0]),
        0.5 * (1 - spread / p.max_spread) + 0.25 * (1 - p.delta_spread / p.max_delta) + 0.25,
        (p.volume_ratio - p.min_volume) / 10_000,
    )
    score = round(
        sum(w * min(1.0, max(0.0, x)) for w, x in zip(p.weights, parts, strict=True)) * 10_000
    )
    price = bid // p.tick * p.tick
    tp = price * (_BPS + p.tp_bps) / _BPS // p.tick * p.tick
    sl = price * (_BPS - p.sl_bps) / _BPS // p.tick * p.tick
    if not 0 < sl < price < tp:
        return None
    quote = min(
        p.per_trade * price / (price - sl),
        p.max_symbol - p.exposure_symbol,
        p.max_total - p.exposure_total,
        p.free_quote,
    )
    qty = min((quote / price).quantize(p.step, rounding=ROUND_FLOOR), p.max_qty)
    sold = (qty * p.fee_share).quantize(p.step, rounding=ROUND_FLOOR)
    if (
        not p.normal
        or p.pending
        or now_ms < p.cooldown_until_ms
        or now_ms < p.quarantined_until_ms
        or p.equity <= p.max_loss
        or p.peak - p.equity >= p.max_drawdown
        or p.trades_today >= p.max_trades
        or p.latency_ms > p.max_latency_ms
        or qty < p.min_qty
        or sold * sl < p.min_notional
        or (price - sl) * 2 * _BPS < price * p.atr_bps
    ):
        return None
    seen = {
        "symbol": p.symbol,
        "bid": bid,
        "ask": ask,
        "last": p.last_price,
        "ema": p.ema,
        "trend": p.trend_score,
        "spread": spread,
        "spread_p50": p.spread_p50,
        "delta": p.delta_spread,
        "imbalance": p.imbalance,
        "volume": p.volume_ratio,
        "atr": p.atr_bps,
        "returns": p.returns,
        **p.hashes,
    }
    digest = hashlib.sha256(_ENCODE(seen)).hexdigest()
    params: dict[str, str | int] = {
        "symbol": p.symbol,
        "listClientOrderId": f"L_{digest[:34]}",
        "workingType": "LIMIT_MAKER",
        "workingSide": "BUY",
        "workingPrice": f"{price:f}",
        "workingQuantity": f"{qty:f}",
        "workingClientOrderId": f"E_{digest[:34]}",
        "pendingSide": "SELL",
        "pendingAboveType": "LIMIT_MAKER",
        "pendingAbovePrice": f"{tp:f}",
        "pendingAboveClientOrderId": f"T_{digest[:34]}",
        "pendingBelowType": "STOP_LOSS_LIMIT",
        "pendingBelowStopPrice": f"{sl:f}",
        "pendingBelowPrice": f"{sl * Decimal('0.995') // p.tick * p.tick:f}",
        "pendingBelowTimeInForce": "GTC",
        "pendingBelowClientOrderId": f"S_{digest[:34]}",
        "newOrderRespType": "FULL",
        "recvWindow": p.recv_window_ms,
        "timestamp": now_ms,
        "apiKey": p.api_key,
    }
    text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    signature = hmac.new(p.secret, text.encode(), hashlib.sha256).hexdigest()
    p.audit.append(
        _ENCODE(
            {
                "at_ms": now_ms,
                "event": "ORDER",
                "hash": digest,
                "seen": seen,
                "score": score,
                "edge": edge,
                "price": price,
                "qty": qty,
                "tp": tp,
                "sl": sl,
                "client_order_id": params["workingClientOrderId"],
            }
        )
    )
    params["signature"] = signature
    return _ENCODE({"id": 1, "method": "orderList.place.opoco", "params": params})
