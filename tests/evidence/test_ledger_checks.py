"""Each check inside the ledger holds for the right story and names what is wrong."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from livespot.evidence.facts import net_base
from livespot.evidence.findings import Finding
from livespot.evidence.invariants import check_all
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts
from livespot.testing.finished_run_journal import START_MS


def found(name: str, facts: Facts, journal: JournalRows | None = None) -> Finding:
    return next(finding for finding in check_all(facts, journal) if finding.id == name)


def test_buying_more_than_was_approved_is_named(facts: Facts) -> None:
    verdicts = tuple(replace(v, approved_qty=Decimal(9)) for v in facts.verdicts)

    finding = found("I02", replace(facts, verdicts=verdicts))

    assert (finding.holds, finding.detail) == (
        False,
        "dec_1 bought 10.00, at most 9 was approved",
    )


def test_a_later_consent_neither_shrinks_nor_widens_what_the_first_one_allowed(
    facts: Facts,
) -> None:
    smaller = tuple(replace(v, approved_qty=Decimal(9)) for v in facts.verdicts)

    assert found("I02", replace(facts, verdicts=(*facts.verdicts, *smaller))).holds
    assert not found("I02", replace(facts, verdicts=(*smaller, *facts.verdicts))).holds


def test_two_entries_of_a_decision_at_once_are_named(facts: Facts, journal: JournalRows) -> None:
    standing = next(o for o in journal.orders if o.client_order_id == "X_b")
    second = replace(standing, order_id=22)

    finding = found("I02", facts, replace(journal, orders=(*journal.orders, second)))

    assert (finding.holds, finding.detail) == (False, "dec_2 had 2 entries standing at once")


def test_entries_one_after_the_other_are_fine(facts: Facts, journal: JournalRows) -> None:
    standing = next(o for o in journal.orders if o.client_order_id == "X_b")
    later = replace(standing, order_id=22, row=1000)

    assert found("I02", facts, replace(journal, orders=(*journal.orders, later))).holds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"from_state": "SENT_UNKNOWN"}, "a step leaves SENT_UNKNOWN", id="gap"),
        pytest.param({"to_state": "CONFIRMED"}, "CREATED -> CONFIRMED is not legal", id="jump"),
        pytest.param({"from_state": "NOT_FOUND"}, "reopened without evidence", id="reopened"),
    ],
)
def test_a_broken_chain_of_states_is_named(
    facts: Facts, change: dict[str, str], words: str
) -> None:
    steps = (replace(facts.transitions[0], **change), *facts.transitions[1:])

    finding = found("I05", replace(facts, transitions=steps))

    assert not finding.holds
    assert words in finding.detail


def test_a_state_no_step_led_to_is_named(facts: Facts) -> None:
    intents = (replace(facts.intents[0], state="NOT_FOUND"), *facts.intents[1:])

    assert "its last step says CONFIRMED" in found("I05", replace(facts, intents=intents)).detail


def test_a_step_that_was_not_audited_is_named(facts: Facts) -> None:
    events = tuple(e for e in facts.events if e.order_intent_id != "oi_c")

    finding = found("I05", replace(facts, events=events))

    assert (finding.holds, finding.detail) == (
        False,
        "intent oi_c: its audit events tell another story",
    )


def test_steps_of_an_intent_nobody_made_are_named(facts: Facts) -> None:
    fewer = replace(facts, intents=facts.intents[:2])

    assert "nobody made: oi_c" in found("I05", fewer).detail


def test_a_position_that_is_not_its_fills_is_named(facts: Facts) -> None:
    wrong = replace(facts, positions=(replace(facts.positions[0], qty=Decimal("0.01")),))

    finding = found("I08", wrong)

    assert (finding.holds, finding.detail) == (False, "ADAUSDT holds 0.01, its fills leave 0")


def test_fills_without_a_position_are_named(facts: Facts) -> None:
    finding = found("I08", replace(facts, positions=()))

    assert (finding.holds, finding.detail) == (False, "ADAUSDT: 2 fills of no position")


def test_only_fees_taken_in_base_shrink_the_quantity(facts: Facts) -> None:
    bought, sold = facts.fills

    assert net_base([bought], "USDT") == Decimal("9.99")
    assert net_base([replace(bought, commission_asset="BNB")], "USDT") == Decimal("10.00")
    assert net_base([bought, sold], "USDT") == 0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        pytest.param("snapshots", "its snapshot", id="snapshot"),
        pytest.param("decisions", "its decision", id="decision"),
        pytest.param("gate", "the gate's word", id="gate"),
        pytest.param("verdicts", "risk's approval", id="risk"),
    ],
)
def test_an_entry_without_a_link_of_its_chain_is_named(
    facts: Facts, table: str, words: str
) -> None:
    kept = getattr(facts, table)[1:]

    finding = found("I14", replace(facts, **{table: kept}))

    assert (finding.holds, finding.detail) == (False, f"entry oi_a lacks {words}")


def test_consent_that_came_after_the_entry_is_none(facts: Facts) -> None:
    late = tuple(replace(v, at_ms=START_MS + 90_000) for v in facts.verdicts)

    assert "oi_b lacks risk's approval" in found("I14", replace(facts, verdicts=late)).detail


def test_a_snapshot_that_was_edited_is_none(facts: Facts) -> None:
    edited = tuple(replace(s, snapshot_hash="other") for s in facts.snapshots)

    assert "lacks its snapshot" in found("I14", replace(facts, snapshots=edited)).detail


def test_a_decision_the_gate_changed_rests_on_the_one_it_was_asked(facts: Facts) -> None:
    changed = tuple(
        replace(d, original_decision_id="dec_0") if d.decision_id == "dec_1" else d
        for d in facts.decisions
    )
    asked = tuple(
        replace(g, decision_id="dec_0", verdict="MODIFY", modify_applied=True)
        if g.decision_id == "dec_1"
        else g
        for g in facts.gate
    )

    assert found("I14", replace(facts, decisions=changed, gate=asked)).holds
    assert not found("I14", replace(facts, decisions=changed)).holds
