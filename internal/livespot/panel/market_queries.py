"""Reads for the market tab: the newest readings of every watched symbol, and price charts."""

from collections.abc import Sequence
from typing import Any

import msgspec

from livespot.panel.codes import code_views, codes_of
from livespot.panel.database import PanelDatabase
from livespot.panel.levels import StoredChange, levels_of
from livespot.panel.tabs import ChartView, LevelView, MarketView, MarkView, SymbolView
from livespot.rules.expectancy import cost_of

_CHARTS = 6
_CANDLES = 120
_CANDLE_MS = 60_000
_FILLS = 200
_LATELY = 20
_CHANGES = 200

# In this order: held, watched, lately traded, then what the last deep scan looked at.
_SYMBOLS = f"""
SELECT symbol, 1 FROM positions WHERE phase NOT IN ('FLAT', 'DUST')
UNION ALL
SELECT symbol, 0 FROM (SELECT symbol FROM cycle_selections
    WHERE chosen = 1
      AND cycle_id = (SELECT cycle_id FROM cycle_selections ORDER BY at_ms DESC LIMIT 1)
    ORDER BY rank LIMIT ?)
UNION ALL
SELECT symbol, 0 FROM (SELECT symbol FROM fills ORDER BY exchange_time_ms DESC LIMIT {_LATELY})
UNION ALL
SELECT symbol, 0 FROM (SELECT symbol FROM cycle_rankings
    WHERE kind = 'DEEP' AND cycle_id = (SELECT cycle_id FROM audit_events
        WHERE event_type = 'DEEP_SCAN' ORDER BY id DESC LIMIT 1) ORDER BY rank LIMIT ?)
"""  # noqa: S608
_DEEP = """
SELECT symbol, features_json, at_ms FROM cycle_rankings
WHERE kind = 'DEEP' AND cycle_id = (SELECT cycle_id FROM audit_events
    WHERE event_type = 'DEEP_SCAN' ORDER BY id DESC LIMIT 1)
"""
_DECISION = """
SELECT outcome, decision_id, at_ms, edge_score_x10000, edge_bps_expected, reasons, decision_json,
       snapshot_id
FROM decisions WHERE symbol = ? AND outcome <> 'ENDED' ORDER BY at_ms DESC, id DESC LIMIT 1
"""
_SNAPSHOT = """
SELECT at_ms, json_extract(snapshot_json, '$.microstructure', '$.volatility.atr14_5m_bps',
       '$.volume_ratio_5m_x10000', '$.regime.label', '$.regime.direction',
       '$.regime.trend_score_x10000', '$.regime.range_score_x10000')
FROM snapshots WHERE snapshot_id = ?
"""
_PRICES = f"""
SELECT open_time_ms, close, high, low FROM candles
WHERE symbol = ? AND interval = '1m' ORDER BY open_time_ms DESC LIMIT {_CANDLES}
"""  # noqa: S608
_TRADES = f"""
SELECT symbol, exchange_time_ms, side, price, qty, decision_id FROM fills
WHERE exchange_time_ms >= ? ORDER BY exchange_time_ms DESC LIMIT {_FILLS}
"""  # noqa: S608
_CHANGED = f"""
SELECT symbol, ts_ms, data,
    (SELECT stop_price FROM orders
     WHERE order_intent_id = e.order_intent_id AND order_intent_id <> '' AND role = 'SL' LIMIT 1),
    (SELECT iif(type = 'LIMIT_MAKER', price, stop_price) FROM orders
     WHERE order_intent_id = e.order_intent_id AND order_intent_id <> '' AND role = 'TP' LIMIT 1),
    (SELECT json_extract(decision_json, '$.exit_plan.trailing_distance_bps') FROM decisions
     WHERE decision_id = e.decision_id AND outcome <> 'BLOCKED' AND EXISTS
         (SELECT 1 FROM orders WHERE order_intent_id = e.order_intent_id AND role = 'TP'
              AND order_intent_id <> '' AND type LIKE 'TAKE_PROFIT%')
     ORDER BY id DESC LIMIT 1)
FROM (SELECT id, symbol, ts_ms, data, order_intent_id, decision_id FROM audit_events
    WHERE event_type = 'PROTECTION_CHANGED' AND json_type(data) = 'object'
    ORDER BY id DESC LIMIT {_CHANGES}) AS e
WHERE ts_ms >= ? ORDER BY id
"""  # noqa: S608
_HELD = """
SELECT symbol, sl_price, tp_price, opened_at_ms FROM positions WHERE phase NOT IN ('FLAT', 'DUST')
"""

_NO_DEEP = "the last deep scan does not hold it"
_NOT_DECIDED = "the symbol has not been decided on yet"
_NOT_REACHED = "an earlier check stopped the decision before this was computed"
_WARMING = "the symbol is still warming up"
_OF_SCAN = (
    "regime",
    "direction",
    "trend_score_x10000",
    "range_score_x10000",
    "spread_bps",
    "spread_p50_bps",
    "spread_p90_bps",
    "delta_spread_p90_bps",
    "imbalance_x10000",
    "atr14_5m_bps",
)
_OF_DECISION = ("volume_ratio_x10000", "edge_score_x10000", "outcome", "decided_at_ms")
_OF_EXITS = ("edge_bps", "cost_bps", "sl_bps", "tp_bps")
_SCAN_NAMES = {
    "spread_bps": "spread_current_bps",
    **{name: name for name in _OF_SCAN if name != "spread_bps"},
}
_BLOCK_NAMES = {
    "spread_bps": "spread_current_bps",
    "delta_spread_p90_bps": "delta_spread_bps_p90_10s",
    "imbalance_x10000": "imbalance_x10000",
    "atr14_5m_bps": "atr14_5m_bps",
    "trend_score_x10000": "trend_score_x10000",
    "range_score_x10000": "range_score_x10000",
    "volume_ratio_x10000": "volume_ratio_5m_x10000",
}
_MICRO_NAMES = {
    "spread_bps": "spread_current_bps",
    "spread_p50_bps": "spread_bps_p50_60s",
    "spread_p90_bps": "spread_bps_p90_60s",
    "delta_spread_p90_bps": "delta_spread_bps_p90_10s",
    "imbalance_x10000": "bid_ask_imbalance_p50_10s_x10000",
}
Figures = dict[str, Any]


class _Detail(msgspec.Struct, frozen=True):
    """The part of a block or a proposal that readings are taken from."""

    regime: str | None = None
    features: dict[str, int] = msgspec.field(default_factory=dict)
    passed: tuple[str, ...] = ()
    sl_bps: int = 0
    tp_bps: int = 0


_Seen = tuple[
    dict[str, int], int | None, int | None, str | None, str | None, int | None, int | None
]


async def market(database: PanelDatabase, limit: int) -> MarketView:
    """Return held symbols first, then the watch list by rank; the first few have a chart."""
    standing: dict[str, bool] = {}
    for symbol, held in await database.rows(_SYMBOLS, (limit, limit)):
        standing.setdefault(symbol, bool(held))
    if not standing:
        return MarketView(unknown={"symbols": "no selection has been made yet"})
    deep = {
        row[0]: (msgspec.json.decode(row[1], type=Figures), row[2])
        for row in await database.rows(_DEEP)
    }
    charts = await _charts(database, tuple(standing)[:_CHARTS])
    return MarketView(
        symbols=tuple(
            [
                await _symbol(
                    database, symbol, deep.get(symbol), held=held, chart=charts.get(symbol)
                )
                for symbol, held in standing.items()
            ]
        )
    )


async def _symbol(
    database: PanelDatabase,
    symbol: str,
    scanned: tuple[Figures, int] | None,
    *,
    held: bool,
    chart: ChartView | None,
) -> SymbolView:
    """Merge scan and decision; for a figure that both have, the newer one counts."""
    decided, decided_ms, why = await _decided(database, symbol)
    figures: Figures = {}
    scan = _of_scan(scanned)
    scan_ms = scanned[1] if scan and scanned is not None else 0
    readings = [(scan_ms, scan), (decided_ms, decided)]
    for _, found in sorted(readings, key=lambda item: item[0]):
        figures |= {name: value for name, value in found.items() if value is not None}
    silent = _WARMING if scanned is not None and not scan else _NO_DEEP
    missing = dict.fromkeys(_OF_SCAN, silent) | dict.fromkeys(_OF_DECISION, _NOT_DECIDED) | why
    unknown = {name: reason for name, reason in missing.items() if figures.get(name) is None}
    read_at = max(scan_ms, decided_ms)
    if not read_at:
        unknown["read_at_ms"] = silent
    if chart is None:
        chart = ChartView(unknown={"close": f"only the first {_CHARTS} symbols are drawn"})
    return SymbolView(
        symbol=symbol,
        read_at_ms=read_at or None,
        held=held,
        chart=chart,
        unknown=unknown,
        **figures,
    )


def _of_scan(scanned: tuple[Figures, int] | None) -> Figures:
    if scanned is None:
        return {}
    return {name: scanned[0].get(stored) for name, stored in _SCAN_NAMES.items() if scanned[0]}


async def _decided(database: PanelDatabase, symbol: str) -> tuple[Figures, int, dict[str, str]]:
    """Return the figures of the newest decision, its time, and why some are missing."""
    row = await database.first(_DECISION, (symbol,))
    if row is None:
        return {}, 0, dict.fromkeys(_OF_EXITS, _NOT_DECIDED)
    outcome, decision_id, at_ms, score, edge, reasons, text, snapshot_id = row
    detail = msgspec.json.decode(text, type=_Detail)
    figures: Figures = {
        "outcome": outcome,
        "decision_id": decision_id,
        "decided_at_ms": at_ms,
        "edge_score_x10000": score,
        "regime": detail.regime,
        "reasons": codes_of(reasons),
        "passed": code_views(detail.passed),
    }
    figures |= {name: detail.features.get(stored) for name, stored in _BLOCK_NAMES.items()}
    if outcome != "BLOCKED":
        figures |= await _seen(database, snapshot_id)
    sl = detail.sl_bps or detail.features.get("sl_bps", 0)
    tp = detail.tp_bps or detail.features.get("tp_bps", 0)
    if not sl:
        return figures, at_ms, dict.fromkeys(_OF_EXITS, _NOT_REACHED)
    cost = cost_of(tp_bps=tp, sl_bps=sl, edge_bps=edge)
    figures |= {"edge_bps": edge, "sl_bps": sl, "tp_bps": tp}
    figures["cost_bps"] = detail.features.get("cost_bps", cost)
    return figures, at_ms, {}


async def _seen(database: PanelDatabase, snapshot_id: str) -> Figures:
    """Return the readings of a stored snapshot; none when it was not kept."""
    row = await database.first(_SNAPSHOT, (snapshot_id,))
    if row is None:
        return {}
    micro, atr, volume, label, direction, trend, flat = msgspec.json.decode(row[1], type=_Seen)
    return {
        **{name: micro.get(stored) for name, stored in _MICRO_NAMES.items()},
        "atr14_5m_bps": atr,
        "volume_ratio_x10000": volume,
        "regime": label,
        "direction": direction,
        "trend_score_x10000": trend,
        "range_score_x10000": flat,
    }


async def _charts(database: PanelDatabase, symbols: Sequence[str]) -> dict[str, ChartView]:
    series = {symbol: (await database.rows(_PRICES, (symbol,)))[::-1] for symbol in symbols}
    begins = [rows[0][0] for rows in series.values() if rows]
    if not begins:
        return dict.fromkeys(symbols, _undrawn())
    since = min(begins)
    trades = await database.rows(_TRADES, (since,))
    changes = [
        StoredChange(
            symbol=symbol,
            at_ms=at_ms,
            data=data,
            attached_stop=stop,
            attached_target=target,
            attached_trail_bps=distance,
        )
        for symbol, at_ms, data, stop, target, distance in await database.rows(_CHANGED, (since,))
    ]
    held = {row[0]: row[1:] for row in await database.rows(_HELD)}
    return {
        symbol: _chart(
            rows,
            tuple(_mark(row) for row in reversed(trades) if row[0] == symbol),
            levels_of([c for c in changes if c.symbol == symbol], held.get(symbol), rows[0][0]),
        )
        if rows
        else _undrawn()
        for symbol, rows in series.items()
    }


def _undrawn() -> ChartView:
    return ChartView(unknown={"close": "no candle of this symbol is recorded yet"})


def _chart(
    rows: Sequence[tuple[Any, ...]], trades: tuple[MarkView, ...], levels: tuple[LevelView, ...]
) -> ChartView:
    """Make a chart. A candle stands at its closing time, which is when its close was the price."""
    begins, close, high, low = zip(*rows, strict=True)
    return ChartView(
        at_ms=tuple(begin + _CANDLE_MS for begin in begins),
        close=close,
        high=high,
        low=low,
        trades=trades,
        levels=levels,
    )


def _mark(row: tuple[Any, ...]) -> MarkView:
    _, at_ms, side, price, qty, decision_id = row
    return MarkView(at_ms=at_ms, side=side, price=price, qty=qty, decision_id=decision_id)
