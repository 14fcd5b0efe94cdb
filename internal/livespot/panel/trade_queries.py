"""Reads about trading: decisions, watch list, intents, orders, positions, results, reconciles."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from livespot.contracts.amounts import ZERO, decimal_text
from livespot.contracts.settings import ChurnSettings
from livespot.panel.codes import codes_of
from livespot.panel.dashboard import (
    ChurnView,
    DecisionView,
    DiffView,
    ExecutionView,
    ExposureLine,
    FillLine,
    IntentView,
    OrderLine,
    PnlView,
    PositionLine,
    ReconcileView,
    WatchView,
)
from livespot.panel.database import PanelDatabase, Row
from livespot.panel.edge_queries import edge_of, track_record

_EXPOSURES = """
SELECT exposure_id, symbol, side, qty, note, opened_at_ms FROM manual_exposures
WHERE closed_at_ms = 0 ORDER BY opened_at_ms, exposure_id LIMIT 50
"""
_DAY_MS = 86_400_000
_NEAR_LIMIT_PCT = 80
_INTENTS_COUNTED = 1000
_DECISIONS_SEEN = 500
_LINES = 50
_FILLS_SHOWN = 20
_PLACES = Decimal("0.00000001")
_OF_MARK = ("mark_price", "mark_at_ms", "unrealised_quote")
_CANCELS = ("CANCEL", "OCO_CANCEL")

_INTENT = """
SELECT order_intent_id, decision_id, action, role, symbol, side, state, attempts,
       last_error_code, created_at_ms, updated_at_ms FROM order_intents
"""
# The condition repeats that of the partial index, which keeps this fast in a long ledger.
_UNKNOWN = (
    _INTENT + "WHERE state IN ('CREATED', 'SENT_UNKNOWN') AND state = 'SENT_UNKNOWN' "
    f"ORDER BY created_at_ms LIMIT {_LINES}"
)
_RECENT = _INTENT + "ORDER BY rowid DESC LIMIT ?"
_BY_STATE = f"""
SELECT state, count(*) FROM
    (SELECT state FROM order_intents ORDER BY rowid DESC LIMIT {_INTENTS_COUNTED})
GROUP BY state
"""  # noqa: S608
_SENT = f"""
SELECT symbol, action, sent_at_ms > ? FROM
    (SELECT symbol, action, sent_at_ms FROM order_intents
     ORDER BY rowid DESC LIMIT {_INTENTS_COUNTED})
WHERE sent_at_ms > ? ORDER BY symbol
"""  # noqa: S608
_RECONCILE = """
SELECT started_at_ms, duration_ms, label, drift_score_x10000, scope, diffs_json
FROM reconcile_reports ORDER BY id DESC LIMIT 1
"""
_DIFFS = f"""
SELECT started_at_ms, diffs_json FROM
    (SELECT id, started_at_ms, diffs_json FROM reconcile_reports ORDER BY id DESC LIMIT {_LINES})
WHERE diffs_json <> '[]' ORDER BY id DESC
"""  # noqa: S608
# A unary plus keeps the planner from scanning a whole index for a handful of rows.
_DECISIONS = f"""
SELECT d.symbol, d.outcome, coalesce(json_extract(d.decision_json, '$.regime'), ''),
       d.decision_id, d.cycle_id, d.at_ms, d.edge_score_x10000, d.edge_bps_expected, d.reasons
FROM decisions d WHERE d.id IN (
    SELECT max(id) FROM decisions
    WHERE id > (SELECT coalesce(max(id), 0) - {_DECISIONS_SEEN} FROM decisions) GROUP BY +symbol)
ORDER BY +d.at_ms DESC, d.symbol LIMIT ?
"""  # noqa: S608
_GATE = "SELECT verdict, reasons FROM ai_gate_events WHERE decision_id = ? ORDER BY id DESC LIMIT 1"
_RISK = "SELECT verdict, reasons FROM risk_verdicts WHERE decision_id = ? ORDER BY id DESC LIMIT 1"
_WATCHLIST = """
SELECT symbol, rank, score_x10000, incumbent_cycles, reasons, at_ms FROM cycle_selections
WHERE cycle_id = (SELECT cycle_id FROM cycle_selections ORDER BY at_ms DESC LIMIT 1)
  AND chosen = 1 ORDER BY rank, symbol LIMIT ?
"""
_ORDER = """
SELECT o.symbol, o.order_id, o.client_order_id, o.order_intent_id,
       coalesce(i.decision_id, ''), o.role, o.side, o.type, o.status, o.price, o.stop_price,
       o.orig_qty, o.executed_qty, o.exchange_time_ms
FROM orders o LEFT JOIN order_intents i ON i.order_intent_id = o.order_intent_id
"""
_ORDERS = f"""
{_ORDER}
WHERE o.status IN ('NEW', 'PENDING_NEW', 'PARTIALLY_FILLED', 'UNKNOWN')
ORDER BY o.symbol, o.order_id LIMIT {_LINES}
"""
_NEWEST_ORDERS = f"{_ORDER} ORDER BY o.rowid DESC LIMIT ?"
_POSITION = """
SELECT p.symbol, p.position_id, p.decision_id, p.phase, p.qty, p.avg_price, p.cost_quote,
       p.tp_price, p.sl_price, p.tp_bps, p.sl_bps, p.protected_qty, p.unprotected_since_ms,
       p.unprotected_ms, p.realised_quote, p.fees_quote, p.fee_unpriced, p.opened_at_ms,
       c.close, c.open_time_ms, p.closed_at_ms, p.exit_reason,
       (SELECT json_extract(decision_json, '$.exit_plan.trailing_mode') FROM decisions
        WHERE decision_id = p.decision_id AND outcome <> 'BLOCKED' ORDER BY id DESC LIMIT 1)
FROM positions p LEFT JOIN candles c ON c.symbol = p.symbol AND c.interval = '1m'
    AND c.open_time_ms = (SELECT max(open_time_ms) FROM candles
                          WHERE symbol = p.symbol AND interval = '1m')
"""
_POSITIONS = f"{_POSITION} WHERE p.phase NOT IN ('FLAT', 'DUST') ORDER BY p.symbol LIMIT {_LINES}"
_NEWEST_POSITIONS = f"{_POSITION} ORDER BY p.rowid DESC LIMIT ?"
_CLOSED = """
SELECT realised_quote, fees_quote, fee_unpriced FROM positions WHERE closed_at_ms >= ? LIMIT 2000
"""
_FILLS = """
SELECT symbol, trade_id, order_id, order_intent_id, side, price, qty, fee_quote, fee_unpriced,
       is_maker, decision_id, exchange_time_ms
FROM fills ORDER BY exchange_time_ms DESC, trade_id DESC LIMIT ?
"""


class _Diff(msgspec.Struct, frozen=True):
    mismatch: str
    symbol: str
    subject: str
    before: str
    after: str
    score_x10000: int = 0
    corrected: bool = False


async def decisions(database: PanelDatabase, limit: int) -> tuple[DecisionView, ...]:
    """Return the newest decision of every recently judged symbol, newest first."""
    found = []
    rows = await database.rows(_DECISIONS, (limit,))
    # A block has no id and no odds, and often there are only blocks.
    record = await track_record(database) if any(row[3] for row in rows) else {}
    for row in rows:
        symbol, outcome, regime, decision_id, cycle_id, at_ms, score, bps, reasons = row
        gate = await database.first(_GATE, (decision_id,)) if decision_id else None
        risk = await database.first(_RISK, (decision_id,)) if decision_id else None
        found.append(
            DecisionView(
                symbol=symbol,
                outcome=outcome,
                regime=regime,
                decision_id=decision_id,
                cycle_id=cycle_id,
                at_ms=at_ms,
                edge_score_x10000=score,
                edge_bps_expected=bps,
                reasons=codes_of(reasons),
                gate=gate[0] if gate else "",
                gate_reasons=codes_of(gate[1]) if gate else (),
                risk=risk[0] if risk else "",
                risk_reasons=codes_of(risk[1]) if risk else (),
                edge=await edge_of(database, decision_id, record),
            )
        )
    return tuple(found)


async def watchlist(database: PanelDatabase, limit: int) -> tuple[WatchView, ...]:
    """Return what the newest selection chose, best rank first."""
    return tuple(
        WatchView(
            symbol=symbol,
            rank=rank,
            score_x10000=score,
            incumbent_cycles=cycles,
            reasons=codes_of(reasons),
            at_ms=at_ms,
        )
        for symbol, rank, score, cycles, reasons, at_ms in await database.rows(_WATCHLIST, (limit,))
    )


async def execution(
    database: PanelDatabase, churn: ChurnSettings, now_ms: int, *, intents: int, diffs: int
) -> ExecutionView:
    """Return the ledger's state, what is unresolved, and what the last reconcile found."""
    by_state: dict[str, int] = dict(await database.rows(_BY_STATE))
    sent = await database.rows(_SENT, (now_ms - 10_000, now_ms - 60_000))
    return ExecutionView(
        by_state=by_state,
        counted=sum(by_state.values()),
        unknown=_intents(await database.rows(_UNKNOWN), now_ms),
        recent=_intents(await database.rows(_RECENT, (intents,)), now_ms),
        reconcile=await _reconcile(database, diffs),
        churn=_churn(sent, churn),
    )


def _intents(rows: Sequence[Row], now_ms: int) -> tuple[IntentView, ...]:
    return tuple(
        IntentView(
            order_intent_id=row[0],
            decision_id=row[1],
            action=row[2],
            role=row[3],
            symbol=row[4],
            side=row[5],
            state=row[6],
            attempts=row[7],
            last_error_code=row[8],
            created_ms=row[9],
            updated_ms=row[10],
            age_ms=max(0, now_ms - row[9]),
        )
        for row in rows
    )


async def _reconcile(database: PanelDatabase, limit: int) -> ReconcileView | None:
    row = await database.first(_RECONCILE)
    if row is None:
        return None
    at_ms, duration_ms, label, drift, scope, _ = row
    diffs = [
        DiffView(at_ms=found_ms, **msgspec.structs.asdict(diff))
        for found_ms, text in await database.rows(_DIFFS)
        for diff in msgspec.json.decode(text, type=tuple[_Diff, ...])
    ]
    return ReconcileView(
        at_ms=at_ms,
        duration_ms=duration_ms,
        label=label,
        drift_score_x10000=drift,
        scope=scope,
        diffs=tuple(diffs[:limit]),
    )


def _churn(sent: Sequence[Row], limits: ChurnSettings) -> tuple[ChurnView, ...]:
    """Count, by symbol, the mutations of the last minute and of its last ten seconds."""
    counted: dict[str, dict[str, list[int]]] = {}
    for symbol, action, recent in sent:
        kind = "cancel" if action in _CANCELS else action
        kind = "replace" if action == "CANCEL_REPLACE" else kind
        kind = kind if kind in ("cancel", "replace") else "new"
        both = counted.setdefault(symbol, {}).setdefault(kind, [0, 0])
        both[0] += recent
        both[1] += 1
    bounds = {
        "new": limits.max_new_orders_10s,
        "cancel": limits.max_cancel_10s,
        "replace": limits.max_cancel_replace_10s,
    }
    views = []
    for symbol, kinds in counted.items():
        figures = {name: kinds.get(name, [0, 0]) for name in bounds}
        views.append(
            ChurnView(
                symbol=symbol,
                new_10s=figures["new"][0],
                new_60s=figures["new"][1],
                cancel_10s=figures["cancel"][0],
                cancel_60s=figures["cancel"][1],
                replace_10s=figures["replace"][0],
                replace_60s=figures["replace"][1],
                near_limit=any(
                    100 * figures[name][0] >= _NEAR_LIMIT_PCT * bound
                    for name, bound in bounds.items()
                ),
            )
        )
    return tuple(views)


async def recent_intents(
    database: PanelDatabase, now_ms: int, limit: int
) -> tuple[IntentView, ...]:
    """The newest intents, newest first."""
    return _intents(await database.rows(_RECENT, (limit,)), now_ms)


async def orders(database: PanelDatabase) -> tuple[OrderLine, ...]:
    """Return what rests on the exchange."""
    return _orders(await database.rows(_ORDERS))


async def recent_orders(database: PanelDatabase, limit: int) -> tuple[OrderLine, ...]:
    """Return the newest orders, newest first, in any state."""
    return _orders(await database.rows(_NEWEST_ORDERS, (limit,)))


def _orders(rows: Sequence[Row]) -> tuple[OrderLine, ...]:
    names = [field.name for field in msgspec.structs.fields(OrderLine)]
    return tuple(OrderLine(**dict(zip(names, row, strict=True))) for row in rows)


async def recent_positions(database: PanelDatabase, limit: int) -> tuple[PositionLine, ...]:
    """The newest positions, newest first, open or closed."""
    return tuple(_position(row) for row in await database.rows(_NEWEST_POSITIONS, (limit,)))


async def positions(database: PanelDatabase) -> tuple[PositionLine, ...]:
    """Return open positions; with a recorded close, also what selling at it would bring.

    That is before fees.
    """
    return tuple(_position(row) for row in await database.rows(_POSITIONS))


def _position(row: Row) -> PositionLine:
    qty, protected = Decimal(row[4]), Decimal(row[11])
    mark = None if row[20] else row[18]
    silent = "the position is closed" if row[20] else "no candle of this symbol is recorded yet"
    unknown = {} if mark else dict.fromkeys(_OF_MARK, silent)
    if row[22] is None:
        unknown["trailing_mode"] = "its decision is not stored with a plan"
    return PositionLine(
        symbol=row[0],
        position_id=row[1],
        decision_id=row[2],
        phase=row[3],
        qty=row[4],
        avg_price=_short(row[5]),
        cost_quote=_short(row[6]),
        tp_price=row[7],
        sl_price=row[8],
        tp_bps=row[9],
        sl_bps=row[10],
        protected_qty=row[11],
        # Dust smaller than a step may stay outside the stop: the phase decides, not the quantity.
        protected=row[3] in ("PROTECTED", "TRAILING") and protected > 0,
        unprotected_since_ms=row[12],
        unprotected_ms=row[13],
        realised_quote=_short(row[14]),
        fees_quote=_short(row[15]),
        fee_unpriced=bool(row[16]),
        opened_ms=row[17],
        closed_ms=row[20],
        exit_reason=row[21] if row[20] else "",
        trailing_mode=row[22],
        mark_price=mark,
        mark_at_ms=row[19],
        unrealised_quote=_money(Decimal(mark) * qty - Decimal(row[6])) if mark else None,
        unknown=unknown,
    )


async def pnl(
    database: PanelDatabase, open_ones: Sequence[PositionLine], max_daily_loss: Decimal, now_ms: int
) -> PnlView:
    """Return what positions closed on this UTC day, and the open ones, have realised."""
    day_start = now_ms - now_ms % _DAY_MS
    closed = [
        (Decimal(realised), Decimal(fees), bool(unpriced))
        for realised, fees, unpriced in await database.rows(_CLOSED, (max(1, day_start),))
    ]
    realised = sum((row[0] for row in closed), ZERO)
    realised += sum((Decimal(line.realised_quote) for line in open_ones), ZERO)
    fees = sum((row[1] for row in closed), ZERO)
    fees += sum((Decimal(line.fees_quote) for line in open_ones), ZERO)
    marked = [Decimal(line.unrealised_quote) for line in open_ones if line.unrealised_quote]
    complete = len(marked) == len(open_ones)
    return PnlView(
        day_start_ms=day_start,
        realised_quote=_money(realised),
        unrealised_quote=_money(sum(marked, ZERO)) if complete else None,
        fees_quote=_money(fees),
        fee_unpriced=any(row[2] for row in closed) or any(line.fee_unpriced for line in open_ones),
        closed=len(closed),
        won=sum(row[0] > 0 for row in closed),
        lost=sum(row[0] < 0 for row in closed),
        max_daily_loss_quote=decimal_text(max_daily_loss),
        unknown={} if complete else {"unrealised_quote": "an open position has no recorded price"},
    )


async def fills(database: PanelDatabase, limit: int = _FILLS_SHOWN) -> tuple[FillLine, ...]:
    return tuple(
        FillLine(
            symbol=row[0],
            trade_id=row[1],
            order_id=row[2],
            order_intent_id=row[3],
            side=row[4],
            price=row[5],
            qty=row[6],
            fee_quote=_short(row[7]),
            fee_unpriced=bool(row[8]),
            is_maker=bool(row[9]),
            decision_id=row[10],
            at_ms=row[11],
        )
        for row in await database.rows(_FILLS, (limit,))
    )


async def exposures(database: PanelDatabase) -> tuple[ExposureLine, ...]:
    """Return what the operator holds by hand, oldest first."""
    return tuple(ExposureLine(*row) for row in await database.rows(_EXPOSURES))


def _short(text: str) -> str:
    """Cut decimal text to eight decimals; computed averages carry many more."""
    return _money(Decimal(text)) if len(text.partition(".")[2]) > len("00000000") else text


def _money(value: Decimal) -> str:
    return decimal_text(value.quantize(_PLACES).normalize() + ZERO)
