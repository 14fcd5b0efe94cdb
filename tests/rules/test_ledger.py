"""The transition table: exactly the legal edges, each with its record."""

from itertools import product

import msgspec
import pytest

from livespot.contracts.errors import LedgerViolation
from livespot.contracts.orders import Alias
from livespot.contracts.records import IntentCreated, IntentMoved
from livespot.contracts.vocabulary import IntentRole, IntentState
from livespot.rules import ledger
from livespot.testing.ledger_rows import NOW_MS, intent

LEGAL = {
    ("CREATED", "SENT_UNKNOWN"),
    ("CREATED", "FAILED_TERMINAL"),
    ("SENT_UNKNOWN", "CONFIRMED"),
    ("SENT_UNKNOWN", "FAILED_TERMINAL"),
    ("SENT_UNKNOWN", "NOT_FOUND"),
    ("NOT_FOUND", "CONFIRMED"),
}


@pytest.mark.parametrize(("before", "after"), list(product(IntentState, IntentState)))
def test_only_the_stated_edges_exist(before: IntentState, after: IntentState) -> None:
    moving = msgspec.structs.replace(intent(), state=before)
    step = ledger.Step(to_state=after, at_ms=NOW_MS, evidence="order 7")

    if (before.value, after.value) in LEGAL:
        moved, _ = ledger.transition(moving, step, cycle_id="c")
        assert moved.state is after
    else:
        with pytest.raises(LedgerViolation):
            ledger.transition(moving, step, cycle_id="c")


def test_a_settled_state_has_no_edge_back_to_unknown() -> None:
    assert not any(ledger.is_legal(state, IntentState.SENT_UNKNOWN) for state in ledger.SETTLED)


def test_absence_is_reopened_only_with_evidence() -> None:
    gone = msgspec.structs.replace(intent(), state=IntentState.NOT_FOUND)

    with pytest.raises(LedgerViolation, match="evidence"):
        ledger.transition(
            gone, ledger.Step(to_state=IntentState.CONFIRMED, at_ms=NOW_MS), cycle_id="c"
        )


def test_a_new_intent_brings_its_ids_into_the_same_transaction() -> None:
    alias = Alias(client_order_id="X_leg", order_intent_id="oi_a", role=IntentRole.TP)

    entry = ledger.creation(intent(), (alias,), cycle_id="c")

    (row,) = entry.records
    assert isinstance(row, IntentCreated)
    assert row.aliases == (alias,)


def test_sending_counts_an_attempt_and_keeps_its_time() -> None:
    step = ledger.Step(to_state=IntentState.SENT_UNKNOWN, at_ms=NOW_MS, sent_at_ms=NOW_MS + 5)

    moved, entry = ledger.transition(intent(), step, cycle_id="c")

    assert (moved.attempts, moved.sent_at_ms) == (1, NOW_MS + 5)
    (row,) = entry.records
    assert isinstance(row, IntentMoved)
    assert (row.from_state, row.to_state) == (IntentState.CREATED, IntentState.SENT_UNKNOWN)
