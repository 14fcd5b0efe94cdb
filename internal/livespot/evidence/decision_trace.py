"""The course of one decision, from its snapshot to its result, read from the database alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from livespot.contracts.base import Message
from livespot.evidence import trace_lines as told
from livespot.evidence.links import tree_of
from livespot.evidence.moments import instant
from livespot.store.reader import Reader

Fact: TypeAlias = dict[str, Any]
_JSON = frozenset(
    {"reasons", "limits", "account", "counters", "inputs", "data", "payload", "diffs"}
)


@dataclass(frozen=True, slots=True)
class _Query:
    """Columns, and the rest of the query; a row becomes a dictionary of its columns."""

    columns: str
    source: str

    @property
    def names(self) -> list[str]:
        return [column.split()[-1].split(".")[-1] for column in self.columns.split(",")]


_INTENTS = _Query(
    "order_intent_id, action, role, attempt, side, client_order_id, state, exchange_order_id, "
    "exchange_list_id, last_error_code, attempts, created_at_ms",
    "order_intents WHERE decision_id = ? ORDER BY created_at_ms, rowid",
)
_TRANSITIONS = _Query(
    "t.order_intent_id, t.from_state, t.to_state, t.reasons, t.evidence, t.last_error_code, "
    "t.at_ms",
    "intent_transitions t JOIN order_intents i ON i.order_intent_id = t.order_intent_id "
    "WHERE i.decision_id = ? ORDER BY t.id",
)
_ORDERS = _Query(
    "o.symbol, o.order_id, o.client_order_id, o.role, o.side, o.type, o.status, o.price, "
    "o.stop_price, o.orig_qty, o.executed_qty, o.exchange_time_ms, o.source, o.order_intent_id",
    "orders o JOIN order_intents i ON i.order_intent_id = o.order_intent_id "
    "WHERE i.decision_id = ? ORDER BY o.order_id",
)
_FILLS = _Query(
    "symbol, trade_id, order_id, side, price, qty, commission, commission_asset, fee_quote, "
    "fee_unpriced, is_maker, exchange_time_ms, source, order_intent_id",
    "fills WHERE decision_id = ? ORDER BY exchange_time_ms, trade_id",
)
_GATE = _Query(
    "enabled, verdict, reasons, model, latency_ms, modify_applied, patch_redacted, error_code, "
    "error_detail_redacted, input_hash, at_ms",
    "ai_gate_events WHERE decision_id IN (?, ?) ORDER BY id",
)
_RISK = _Query(
    "verdict, approved_qty, reasons, limits_json AS limits, account_json AS account, "
    "counters_json AS counters, inputs_json AS inputs, at_ms",
    "risk_verdicts WHERE decision_id = ? ORDER BY id",
)
_PROTECTION = _Query(
    "event_type, ts_ms, reasons, data",
    "audit_events WHERE decision_id = ? AND decision_id <> '' "
    "AND event_type IN ('PROTECTION_CHANGED', 'POSITION_CHANGED') ORDER BY id",
)
_POSITIONS = _Query(
    "position_id, phase, qty, avg_price, tp_price, sl_price, realised_quote, fees_quote, "
    "fee_unpriced, dust_qty, opened_at_ms, closed_at_ms, unprotected_ms, exit_reason",
    "positions WHERE decision_id = ? ORDER BY opened_at_ms",
)
_RECONCILES = _Query(
    "started_at_ms, label, drift_score_x10000, diffs_json AS diffs",
    "reconcile_reports WHERE diffs_json <> '[]' AND started_at_ms BETWEEN ? AND ? ORDER BY id",
)
_ENDS = _Query(
    "ts_ms, reasons",
    "audit_events WHERE event_type = 'DECISION_PROPOSED' AND decision_id IN (?, ?) "
    "AND decision_id <> '' "
    "AND json_extract(data, '$.outcome') = 'ENDED' ORDER BY id",
)
_SHADOWS = _Query(
    "ts_ms, data",
    "audit_events WHERE event_type = 'DECISION_PROPOSED' AND decision_id = ? "
    "AND decision_id <> '' "
    "AND json_extract(data, '$.outcome') = 'SHADOW' ORDER BY id",
)
_RESERVES = _Query("state, amount_quote, updated_at_ms", "reserves WHERE decision_id = ?")
_FOREVER_MS = 2**53
_LINGER_MS = 60_000


class Section(Message, frozen=True):
    """One part of the course: in words, and the rows behind the words."""

    name: str
    lines: tuple[str, ...]
    facts: tuple[Fact, ...] = ()


class Trace(Message, frozen=True):
    """One decision's course; `related` are decisions that it came from or became."""

    decision_id: str
    symbol: str
    headline: str
    sections: tuple[Section, ...]
    related: tuple[str, ...] = ()


async def matching(reader: Reader, prefix: str) -> tuple[str, ...]:
    """Return decisions whose id begins with `prefix`, in order; a handful at most."""
    found = await reader.rows(
        "SELECT DISTINCT decision_id FROM decisions WHERE decision_id >= ? AND decision_id < ? "
        "ORDER BY decision_id LIMIT 5",
        (prefix, prefix + "\x7f"),
    )
    return tuple(decision_id for (decision_id,) in found)


async def trace(reader: Reader, decision_id: str) -> Trace:
    """Return every stored step of a decision.

    Raises `StoreBusy` or `AuditUnwritable` when the database cannot be read, `LookupError` when it
    does not hold the decision.
    """
    rows = await reader.rows(
        "SELECT symbol, outcome, cycle_id, run_id, snapshot_id, decision_json, "
        "original_decision_id, at_ms FROM decisions WHERE decision_id = ? ORDER BY id",
        (decision_id,),
    )
    if not rows:
        raise LookupError(decision_id)
    symbol, outcome, _, _, snapshot_id, decision_json, original, at_ms = rows[-1]
    decision = tree_of(decision_json)
    both = (decision_id, original or decision_id)
    position = await _facts(reader, _POSITIONS, decision_id)
    end_ms = max((row["closed_at_ms"] or _FOREVER_MS for row in position), default=at_ms)
    differences = await _facts(reader, _RECONCILES, rows[0][7], end_ms + _LINGER_MS)
    changed = await reader.rows(
        "SELECT DISTINCT decision_id FROM decisions WHERE original_decision_id = ?", (decision_id,)
    )
    sections = [
        await _snapshot(reader, snapshot_id),
        Section(
            name="decision",
            lines=tuple(told.decision(decision, outcome, [tuple(row[1:4]) for row in rows])),
            facts=(decision,),
        ),
        _section("gate", await _facts(reader, _GATE, *both), told.gate),
        _section("risk", await _facts(reader, _RISK, decision_id), told.risk),
        _section("reserve", await _facts(reader, _RESERVES, decision_id), told.reserve),
        await _intents(reader, decision_id),
        _section("orders", await _facts(reader, _ORDERS, decision_id), told.order),
        _section("fills", await _facts(reader, _FILLS, decision_id), told.fill),
        _section("protection", await _facts(reader, _PROTECTION, decision_id), told.protection),
        _reconciles(differences, symbol),
        _section("result", position, told.position),
        _section("shadow", await _facts(reader, _SHADOWS, decision_id), told.shadow),
        _section("end", await _facts(reader, _ENDS, *both), told.end),
    ]
    return Trace(
        decision_id=decision_id,
        symbol=symbol,
        headline=_headline(symbol, at_ms, sections),
        sections=tuple(section for section in sections if section.lines),
        related=tuple(
            dict.fromkeys((*((original,) if original else ()), *(c for (c,) in changed)))
        ),
    )


async def _facts(reader: Reader, query: _Query, *values: str | int) -> tuple[Fact, ...]:
    sql = f"SELECT {query.columns} FROM {query.source}"  # noqa: S608  literals of this module
    return tuple(
        {name: _plain(name, value) for name, value in zip(query.names, row, strict=True)}
        for row in await reader.rows(sql, values)
    )


def _section(name: str, facts: tuple[Fact, ...], say: Callable[[Fact], Iterator[str]]) -> Section:
    return Section(
        name=name, lines=tuple(line for fact in facts for line in say(fact)), facts=facts
    )


async def _snapshot(reader: Reader, snapshot_id: str) -> Section:
    rows = await reader.rows(
        "SELECT snapshot_json FROM snapshots WHERE snapshot_id = ?", (snapshot_id,)
    )
    if not rows:
        return Section(name="snapshot", lines=(f"{snapshot_id} is no longer stored",))
    tree = tree_of(rows[0][0])
    if "regime" not in tree:
        return Section(name="snapshot", lines=(snapshot_id,), facts=(tree,))
    return Section(name="snapshot", lines=tuple(told.snapshot(tree)), facts=(tree,))


async def _intents(reader: Reader, decision_id: str) -> Section:
    """Return each intent, followed by its transitions."""
    intents = await _facts(reader, _INTENTS, decision_id)
    steps = await _facts(reader, _TRANSITIONS, decision_id)
    lines: list[str] = []
    for intent in intents:
        lines += told.intent(intent)
        mine = (s for s in steps if s["order_intent_id"] == intent["order_intent_id"])
        lines += [line for step in mine for line in told.transition(step)]
    return Section(name="intents", lines=tuple(lines), facts=(*intents, *steps))


def _reconciles(facts: tuple[Fact, ...], symbol: str) -> Section:
    """Return the differences found in this symbol while the decision was open."""
    mine = tuple(
        {**fact, "diffs": [d for d in fact["diffs"] if d["symbol"] in (symbol, "")]}
        for fact in facts
    )
    mine = tuple(fact for fact in mine if fact["diffs"])
    lines = tuple(line for fact in mine for line in told.reconcile(fact))
    return Section(name="reconcile", lines=lines, facts=mine)


def _headline(symbol: str, at_ms: int, sections: list[Section]) -> str:
    """Say in one sentence how far the decision came."""
    facts = {section.name: section.facts for section in sections}
    began = f"{symbol} was proposed at {instant(at_ms)}"
    if facts["result"]:
        return f"{began} and bought: {told.outcome(facts['result'][-1])}."
    if facts["intents"]:
        return f"{began}; an order was sent and nothing was bought."
    if facts["shadow"]:
        estimate = facts["shadow"][-1]["data"]["shadow"]["outcome"]
        return f"{began}; SHADOW: nothing was sent; the fill model says {estimate}."
    verdicts = [fact for fact in facts["risk"] if fact["verdict"] == "BLOCK"]
    if verdicts:
        return f"{began}; risk said no: {', '.join(verdicts[-1]['reasons'])}."
    refused = [f for f in facts["gate"] if f["verdict"] in ("BLOCK", "ERROR")]
    if refused:
        return f"{began}; the gate said no: {', '.join(refused[-1]['reasons'])}."
    ends = [", ".join(fact["reasons"]) for fact in facts["end"]]
    return f"{began}; it ended: {ends[-1]}." if ends else f"{began}; nothing followed."


def _plain(name: str, value: Any) -> Any:
    return msgspec.json.decode(value) if name in _JSON else value
