"""The course of a decision or an intent for the panel's drawer, step by step."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from livespot.evidence import trace_lines as told
from livespot.evidence.decision_trace import Section, Trace, trace
from livespot.panel.codes import code_views
from livespot.panel.traces import TRACE_VERSION, IdView, RowReader, StepView, TraceView

Fact: TypeAlias = dict[str, Any]

# Long lists that nobody reads in a drawer; the rows keep them.
_LEFT_OUT = frozenset(
    {"candles_5m", "returns", "constraints", "inputs", "account", "counters", "thresholds_hash"}
)
_OPEN_ORDER = ("NEW", "PENDING_NEW", "PARTIALLY_FILLED", "UNKNOWN")
_UNSETTLED = ("CREATED", "SENT_UNKNOWN")
_DONE, _STOPPED, _NONE, _WAITING = "DONE", "STOPPED", "NONE", "WAITING"
_TITLES = {
    "snapshot": "What was seen",
    "regime": "Regime and microstructure",
    "decision": "Decision",
    "gate": "AI gate",
    "risk": "Risk",
    "intents": "Intents",
    "orders": "Orders",
    "fills": "Fills",
    "protection": "Protection",
    "reconcile": "Reconcile",
    "result": "Result",
}
_SILENT = {
    "snapshot": "No snapshot is stored.",
    "regime": "Known only from a stored snapshot.",
    "decision": "No decision belongs to it.",
    "gate": "The gate was not asked.",
    "risk": "It did not reach risk.",
    "intents": "No order was requested.",
    "orders": "The exchange has shown no order.",
    "fills": "Nothing was filled.",
    "protection": "There was nothing to protect.",
    "reconcile": "No reconcile found a difference meanwhile.",
    "result": "No position followed.",
}
_DECIDED = """
SELECT cycle_id, run_id, snapshot_id, at_ms FROM decisions WHERE decision_id = ?
ORDER BY id LIMIT 1
"""
_INTENT = """
SELECT order_intent_id, decision_id, action, role, attempt, side, client_order_id, state,
       exchange_order_id, exchange_list_id, last_error_code, attempts, created_at_ms, symbol,
       parent_order_intent_id, run_id
FROM order_intents WHERE order_intent_id = ?
"""
_INTENT_NAMES = (
    "order_intent_id",
    "decision_id",
    "action",
    "role",
    "attempt",
    "side",
    "client_order_id",
    "state",
    "exchange_order_id",
    "exchange_list_id",
    "last_error_code",
    "attempts",
    "created_at_ms",
    "symbol",
    "parent_order_intent_id",
    "run_id",
)


class DatabaseTraces:
    """Reads courses through the reader it is given; stores nothing."""

    async def decision(self, reader: RowReader, decision_id: str) -> TraceView | None:
        """Return a decision's course; None when the database does not hold it."""
        rows = await reader.rows(_DECIDED, (decision_id,))
        if not rows:
            return None
        cycle_id, run_id, snapshot_id, at_ms = rows[0]
        course = await trace(reader, decision_id)
        facts = {section.name: section.facts for section in course.sections}
        return TraceView(
            schema_version=TRACE_VERSION,
            kind="DECISION",
            id=decision_id,
            symbol=course.symbol,
            headline=course.headline,
            at_ms=at_ms,
            ids=_ids(
                ("decision", decision_id),
                ("snapshot", snapshot_id),
                ("cycle", cycle_id),
                ("run", run_id),
                *_named("intent", facts.get("intents", ()), "order_intent_id"),
                *_named("client order", facts.get("intents", ()), "client_order_id"),
                *_named("position", facts.get("result", ()), "position_id"),
            ),
            steps=_steps(course),
            related=_ids(*(("decision", other) for other in course.related)),
        )

    async def intent(self, reader: RowReader, order_intent_id: str) -> TraceView | None:
        """Return the course of the intent's decision, with orders and fills of the intent only."""
        rows = await reader.rows(_INTENT, (order_intent_id,))
        if not rows:
            return None
        own = dict(zip(_INTENT_NAMES, rows[0], strict=True))
        decision_id = own["decision_id"]
        known = await reader.rows(_DECIDED, (decision_id,)) if decision_id else []
        course = (
            await trace(reader, decision_id)
            if known
            else Trace(decision_id="", symbol=own["symbol"], headline="", sections=())
        )
        mine = _of_intent(course, own)
        return TraceView(
            schema_version=TRACE_VERSION,
            kind="INTENT",
            id=order_intent_id,
            symbol=own["symbol"],
            headline=_intent_headline(own, mine),
            at_ms=own["created_at_ms"],
            ids=_ids(
                ("intent", order_intent_id),
                ("client order", own["client_order_id"]),
                ("parent intent", own["parent_order_intent_id"]),
                ("decision", decision_id),
                ("run", own["run_id"]),
                *_named("order", _facts(mine, "orders"), "order_id"),
            ),
            steps=_steps(mine),
            related=_ids(("decision", decision_id) if known else ("", "")),
        )


def _of_intent(course: Trace, own: Fact) -> Trace:
    """Return the course with only this intent's mutations."""

    def is_mine(fact: Fact) -> bool:
        return bool(fact.get("order_intent_id") == own["order_intent_id"])

    kept = {section.name: section for section in course.sections}
    steps = [fact for fact in _facts(course, "intents") if is_mine(fact) and fact.get("to_state")]
    orders = [fact for fact in _facts(course, "orders") if is_mine(fact)]
    fills = [fact for fact in _facts(course, "fills") if is_mine(fact)]
    kept["intents"] = Section(
        name="intents",
        lines=(*told.intent(own), *(line for step in steps for line in told.transition(step))),
        facts=(own, *steps),
    )
    kept["orders"] = _told("orders", orders, told.order)
    kept["fills"] = _told("fills", fills, told.fill)
    return Trace(
        decision_id=course.decision_id,
        symbol=course.symbol,
        headline=course.headline,
        sections=tuple(kept.values()),
    )


def _told(name: str, facts: Sequence[Fact], say: Callable[[Fact], Iterable[str]]) -> Section:
    return Section(
        name=name, lines=tuple(line for fact in facts for line in say(fact)), facts=tuple(facts)
    )


def _intent_headline(own: Fact, course: Trace) -> str:
    filled = len(_facts(course, "fills"))
    trades = "nothing of it was filled" if not filled else f"filled in {filled} trade(s)"
    ends = {
        "CREATED": "is written down and was not sent yet",
        "SENT_UNKNOWN": "was sent and its outcome is not known yet; it is looked up, never resent",
        "CONFIRMED": f"is confirmed by the exchange; {trades}",
        "FAILED_TERMINAL": "did not take place",
        "NOT_FOUND": "was sent, and the exchange does not know it",
    }
    end = ends.get(own["state"], f"is {own['state']}")
    return f"{own['action']} {own['role']} {own['side']} of {own['symbol']} {end}."


def _steps(course: Trace) -> tuple[StepView, ...]:
    """Return all steps in order; sections that a person does not tell apart are joined."""
    seen = _section(course, "snapshot")
    parts = {
        "snapshot": Section(name="snapshot", lines=seen.lines[:1], facts=seen.facts),
        "regime": Section(name="regime", lines=seen.lines[1:]),
        "risk": _joined("risk", course, "risk", "reserve"),
        "result": _joined("result", course, "result", "end"),
    }
    return tuple(_step(name, parts.get(name) or _section(course, name)) for name in _TITLES)


def _step(name: str, section: Section) -> StepView:
    codes = [
        code for fact in section.facts for code in fact.get("reasons", ()) if isinstance(code, str)
    ]
    return StepView(
        name=name,
        title=_TITLES[name],
        state=_state(name, section),
        lines=section.lines or (_SILENT[name],),
        codes=code_views(dict.fromkeys(codes)),
        facts=tuple(
            {key: value for key, value in fact.items() if key not in _LEFT_OUT}
            for fact in section.facts
        ),
    )


def _state(name: str, section: Section) -> str:
    facts = section.facts
    if not section.lines:
        return _NONE
    if name in ("gate", "risk"):
        verdicts = [fact["verdict"] for fact in facts if "verdict" in fact]
        return _STOPPED if verdicts and verdicts[-1] in ("BLOCK", "ERROR") else _DONE
    waiting = {
        "intents": any(fact.get("state") in _UNSETTLED for fact in facts),
        "orders": any(fact.get("status") in _OPEN_ORDER for fact in facts),
        "result": any("closed_at_ms" in fact and not fact["closed_at_ms"] for fact in facts),
    }
    if waiting.get(name):
        return _WAITING
    states = [fact["state"] for fact in facts if "state" in fact]
    failed = name == "intents" and states and set(states) == {"FAILED_TERMINAL"}
    return _STOPPED if failed else _DONE


def _section(course: Trace, name: str) -> Section:
    found = [section for section in course.sections if section.name == name]
    return found[0] if found else Section(name=name, lines=())


def _joined(name: str, course: Trace, *names: str) -> Section:
    found = [_section(course, part) for part in names]
    return Section(
        name=name,
        lines=tuple(line for section in found for line in section.lines),
        facts=tuple(fact for section in found for fact in section.facts),
    )


def _facts(course: Trace, name: str) -> tuple[Fact, ...]:
    return _section(course, name).facts


def _named(name: str, facts: Sequence[Fact], key: str) -> list[tuple[str, str]]:
    return [(name, str(fact[key])) for fact in facts if key in fact]


def _ids(*pairs: tuple[str, str]) -> tuple[IdView, ...]:
    """Return each id once, without empty ones."""
    return tuple(IdView(name=name, value=value) for name, value in dict.fromkeys(pairs) if value)
