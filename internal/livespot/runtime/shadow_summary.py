"""The summary of a shadow run in words; the model's estimates stand apart from what happened."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from livespot.actors.shadow_desk import SHADOW
from livespot.contracts.amounts import decimal_text
from livespot.rules.shadow_fills import MODEL
from livespot.store.reader import ReadOnlyDatabase, first

_TOP = 6
_WIDTH = 14
_EVENTS = """
SELECT data, reasons FROM audit_events
WHERE run_id = ? AND event_type = 'DECISION_PROPOSED' ORDER BY seq
"""
_VERDICTS = "SELECT verdict, reasons FROM risk_verdicts WHERE run_id = ?"
_SENT = """
SELECT (SELECT count(*) FROM order_intents WHERE run_id = ?),
       (SELECT count(*) FROM audit_events WHERE run_id = ? AND event_type = 'FILL')
"""


async def shadow_lines(database: ReadOnlyDatabase, run_id: str) -> list[str]:
    """Return aligned plain lines. Raises `StoreBusy`."""
    events = [
        (msgspec.json.decode(str(data)), str(reasons))
        for data, reasons in await database.rows(_EVENTS, (run_id,))
    ]
    verdicts = [(str(v), str(r)) for v, r in await database.rows(_VERDICTS, (run_id,))]
    sent = await first(database, _SENT, (run_id, run_id))
    counted = (int(str(sent[0])), int(str(sent[1]))) if sent is not None else (0, 0)
    return [f"{label:<{_WIDTH}}{text}" for label, text in _told(run_id, events, verdicts, counted)]


def _told(
    run_id: str,
    events: Sequence[tuple[dict[str, Any], str]],
    verdicts: Sequence[tuple[str, str]],
    sent: tuple[int, int],
) -> Iterator[tuple[str, str]]:
    yield "SHADOW", f"run {run_id}: orders sent {sent[0]}, fills {sent[1]}"
    outcomes = Counter(str(data.get("outcome")) for data, _ in events)
    yield "proposals", f"{outcomes['PROPOSED']} proposed, {outcomes['BLOCKED']} blocked"
    blocked = [reasons for data, reasons in events if data.get("outcome") == "BLOCKED"]
    if blocked:
        yield "blocked by", _named(blocked)
    refused = [reasons for verdict, reasons in verdicts if verdict == "BLOCK"]
    yield "risk", f"{len(verdicts) - len(refused)} allowed, {len(refused)} refused"
    if refused:
        yield "refused by", _named(refused)
    yield from _estimates([data["shadow"] for data, _ in events if data.get("outcome") == SHADOW])


def _estimates(shadows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    over = [shadow for shadow in shadows if shadow["outcome"] != "WOULD_ENTER"]
    yield "estimate", f"of the fill model {MODEL}; nothing of it happened:"
    if not shadows:
        yield "", "no entry came as far as an order"
        return
    for outcome, count in sorted(Counter(str(shadow["outcome"]) for shadow in over).items()):
        yield "", f"{count} would have been {outcome}"
    known = [Decimal(s["net_quote"]) for s in over if s["net_quote"] is not None]
    unknown = len(over) - len(known)
    net = decimal_text(sum(known, Decimal(0)).quantize(Decimal("0.0001")))
    yield "", f"{net} in quote units with the fees and slippage stated, over {len(known)} known"
    if unknown:
        yield "", f"{unknown} cannot be told: still open, or trades were lost"


def _named(reasons: Sequence[str]) -> str:
    counts = Counter(name for text in reasons for name in msgspec.json.decode(text)[:1])
    # Count by the first reason, as reports do.
    most = [f"{name} {count}" for name, count in counts.most_common(_TOP)]
    more = len(counts) - len(most)
    return ", ".join(most) + (f" and {more} more" if more > 0 else "")
