"""What only a run's evidence asks of the database: fills with plans, reconcile passes, codes."""

from decimal import Decimal

import msgspec

from livespot.contracts.base import Message
from livespot.evidence.rows import Count
from livespot.store.reader import Reader, first

_RUN = (
    "SELECT config_hash, prompt_hash, version, platform, account_label FROM runs WHERE run_id = ?"
)
# Each fill with the price it was meant to have: the entry's limit, or the exit's trigger.
_FILLS = """
SELECT f.symbol, f.side, f.price, f.local_received_ms - f.exchange_time_ms, f.source,
       coalesce(o.role, ''),
       CASE WHEN f.side = 'BUY' THEN
                (SELECT d.decision_json ->> '$.entry_plan.limit_price' FROM decisions d
                 WHERE d.decision_id = f.decision_id AND d.outcome <> 'BLOCKED' LIMIT 1)
            WHEN o.role = 'TP' THEN
                (SELECT p.tp_price FROM positions p WHERE p.decision_id = f.decision_id LIMIT 1)
            WHEN o.role IN ('SL', 'STOP') THEN
                (SELECT p.sl_price FROM positions p WHERE p.decision_id = f.decision_id LIMIT 1)
       END
FROM fills f LEFT JOIN orders o ON o.symbol = f.symbol AND o.order_id = f.order_id
WHERE f.run_id = ? ORDER BY f.exchange_time_ms, f.trade_id
"""
_GATE = """
SELECT latency_ms FROM ai_gate_events
WHERE run_id = ? AND enabled = 1 AND latency_ms > 0 ORDER BY id
"""
_ORDERS = """
SELECT o.type, o.status, count(*) FROM orders o
JOIN order_intents i ON i.order_intent_id = o.order_intent_id
WHERE i.run_id = ? GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""
_CODES = """
SELECT last_error_code, count(*) FROM order_intents
WHERE run_id = ? AND last_error_code <> '' GROUP BY 1 ORDER BY 2 DESC, 1
"""
_TRIES = "SELECT count(*), total(attempt > 0) FROM order_intents WHERE run_id = ?"
_WEIGHT = "SELECT max(sample_json ->> '$.used_weight') FROM health_samples WHERE run_id = ?"
_PASSES = """
SELECT started_at_ms, duration_ms, drift_score_x10000, label, scope, diffs_json
FROM reconcile_reports WHERE run_id = ? ORDER BY id
"""
_EVENTS = """
SELECT event_type, count(*) FROM audit_events WHERE run_id = ? GROUP BY 1 ORDER BY 2 DESC, 1
"""


class FillSeen(Message, frozen=True):
    """One fill. `planned` is None when no price was named; `late_ms` is from exchange to us."""

    symbol: str
    side: str
    price: Decimal
    late_ms: int
    source: str
    role: str
    planned: Decimal | None

    @property
    def slippage_bps(self) -> int | None:
        """How many bps worse than planned; negative is better, None without a plan."""
        if not self.planned:
            return None
        worse = self.price - self.planned if self.side == "BUY" else self.planned - self.price
        return round(worse * 10_000 / self.planned)


class Pass(Message, frozen=True):
    """One reconcile pass; `diffs` are as stored."""

    started_at_ms: int
    duration_ms: int
    drift_score_x10000: int
    label: str
    scope: str
    diffs: tuple[dict[str, str | int | bool], ...]


class OrderKind(Message, frozen=True):
    type: str
    status: str
    count: int


class Particulars(Message, frozen=True):
    """The particulars of one run; `weight_peak` is None when no sample was taken."""

    config_hash: str
    prompt_hash: str
    version: str
    platform: str
    account_label: str
    fills: tuple[FillSeen, ...]
    gate_ms: tuple[int, ...]
    orders: tuple[OrderKind, ...]
    error_codes: tuple[Count, ...]
    intents: int
    retries: int
    weight_peak: int | None
    passes: tuple[Pass, ...]
    event_types: tuple[Count, ...]


async def read_particulars(reader: Reader, run_id: str) -> Particulars:
    """Read them. Raises `StoreBusy` or `AuditUnwritable`."""
    key = (run_id,)
    run = await first(reader, _RUN, key) or ("",) * 5
    tries = await first(reader, _TRIES, key) or (0, 0)
    weight = await first(reader, _WEIGHT, key)
    fills = [
        FillSeen(
            symbol=symbol,
            side=side,
            price=Decimal(price),
            late_ms=late,
            source=source,
            role=role,
            planned=Decimal(planned) if planned else None,
        )
        for symbol, side, price, late, source, role, planned in await reader.rows(_FILLS, key)
    ]
    return Particulars(
        config_hash=run[0],
        prompt_hash=run[1],
        version=run[2],
        platform=run[3],
        account_label=run[4],
        fills=tuple(fills),
        gate_ms=tuple(int(row[0]) for row in await reader.rows(_GATE, key)),
        orders=tuple(
            OrderKind(type=kind, status=status, count=count)
            for kind, status, count in await reader.rows(_ORDERS, key)
        ),
        error_codes=_counts(await reader.rows(_CODES, key)),
        intents=int(tries[0]),
        retries=int(tries[1]),
        weight_peak=None if weight is None or weight[0] is None else int(weight[0]),
        passes=tuple(
            Pass(
                started_at_ms=at,
                duration_ms=duration,
                drift_score_x10000=score,
                label=label,
                scope=scope,
                diffs=msgspec.json.decode(diffs),
            )
            for at, duration, score, label, scope, diffs in await reader.rows(_PASSES, key)
        ),
        event_types=_counts(await reader.rows(_EVENTS, key)),
    )


def _counts(rows: list[tuple[str, int]]) -> tuple[Count, ...]:
    return tuple(Count(name=str(name), count=count) for name, count in rows)
