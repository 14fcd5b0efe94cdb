"""Counts that must be zero: surplus orders at the exchange, executions missing in the ledger."""

from collections import defaultdict

from livespot.evidence.journal import JournalFill, JournalRows
from livespot.evidence.journal_checks import our_fills
from livespot.evidence.rows import Facts


def duplicates(facts: Facts, journal: JournalRows) -> int:
    """Orders beyond the first of a client id, and entries of a decision beyond one at a time."""
    made: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for order in journal.orders:
        made[order.client_order_id].add((order.symbol, order.order_id))
    again = sum(len(orders) - 1 for orders in made.values())
    return again + sum(_most_beside_another(facts, journal).values())


def lost_fills(facts: Facts, journal: JournalRows) -> int:
    """Our executions at the exchange that are not in the ledger."""
    ours = {(fill.symbol, fill.trade_id) for fill in facts.fills}
    theirs = {(fill.symbol, fill.trade_id) for fill in our_fills(facts, journal)}
    return len(theirs - ours)


def _most_beside_another(facts: Facts, journal: JournalRows) -> dict[str, int]:
    """By decision: the largest number of entries that stood beside another one."""
    decision_of = {name: intent.decision_id for name, intent in facts.intent_of().items()}
    standing: dict[str, set[int]] = defaultdict(set)
    most: dict[str, int] = {}
    for item in journal.timeline():
        decision_id = decision_of.get(item.client_order_id, "")
        if isinstance(item, JournalFill) or item.side != "BUY" or not decision_id:
            continue
        entries = standing[decision_id]
        (entries.add if item.is_open else entries.discard)(item.order_id)
        most[decision_id] = max(most.get(decision_id, 0), len(entries) - 1)
    return most
