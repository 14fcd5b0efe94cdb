"""A round trip is whole only where its protection and its reconcile were seen."""

from decimal import Decimal

from msgspec.structs import replace

from livespot.evidence.journal import JournalRows
from livespot.evidence.round_trips import RoundTrip, round_trips
from livespot.evidence.rows import Facts
from livespot.testing.finished_run_journal import BOUGHT_MS, SOLD_MS


def only(facts: Facts, journal: JournalRows | None) -> RoundTrip:
    (trip,) = round_trips(facts, journal)
    return trip


def test_the_whole_way_is_told(facts: Facts, journal: JournalRows) -> None:
    trip = only(facts, journal)

    assert (trip.symbol, trip.qty) == ("ADAUSDT", Decimal("9.99"))
    assert (trip.entry_price, trip.exit_price) == (Decimal(1), Decimal("1.02"))
    assert (trip.entry_at_ms, trip.exit_at_ms) == (BOUGHT_MS, SOLD_MS)
    assert (trip.pnl_quote, trip.exit_reason) == (Decimal("0.1796102"), "TAKE_PROFIT")
    assert (trip.protected_after_ms, trip.protection_source) == (0, "journal")
    assert (trip.reconciled_at_ms, trip.complete) == (SOLD_MS + 2_000, True)


def test_protection_is_timed_from_the_fill_before_it(facts: Facts, journal: JournalRows) -> None:
    late = tuple(
        replace(o, at_ms=BOUGHT_MS + 700) if o.side == "SELL" and o.status == "NEW" else o
        for o in journal.orders
    )

    assert only(facts, replace(journal, orders=late)).protected_after_ms == 700


def test_one_leg_alone_is_no_protection(facts: Facts, journal: JournalRows) -> None:
    one = tuple(o for o in journal.orders if o.client_order_id != "X_s")

    trip = only(facts, replace(journal, orders=one))

    assert (trip.protected, trip.complete) == (False, False)


def test_legs_that_only_wait_for_the_entry_are_no_protection(
    facts: Facts, journal: JournalRows
) -> None:
    waiting = tuple(o for o in journal.orders if o.side == "BUY" or o.status != "NEW")

    assert not only(facts, replace(journal, orders=waiting)).protected


def test_a_single_stop_is_protection(facts: Facts, journal: JournalRows) -> None:
    roles = tuple(
        replace(a, role="STOP") if a.client_order_id == "X_s" else a for a in facts.aliases
    )
    alone = tuple(o for o in journal.orders if o.client_order_id != "X_t")

    assert only(replace(facts, aliases=roles), replace(journal, orders=alone)).protected


def test_without_a_journal_the_ledgers_belief_is_named_as_such(facts: Facts) -> None:
    trip = only(facts, None)

    assert (trip.protected_after_ms, trip.protection_source) == (100, "ledger")
    assert not only(replace(facts, orders=facts.orders[:1]), None).protected


def test_a_reconcile_before_the_sale_or_a_bad_one_proves_nothing(
    facts: Facts, journal: JournalRows
) -> None:
    report = facts.reconciles[0]

    before = replace(facts, reconciles=(replace(report, started_at_ms=SOLD_MS),))
    bad = replace(facts, reconciles=(replace(report, label="BAD"),))

    assert not only(before, journal).reconciled
    assert not only(bad, journal).reconciled


def test_an_order_left_open_is_not_reconciled(facts: Facts, journal: JournalRows) -> None:
    left = tuple(o for o in journal.orders if o.status != "EXPIRED")
    open_ones = tuple(replace(o, status="NEW") for o in facts.orders)

    assert not only(facts, replace(journal, orders=left)).reconciled
    assert not only(replace(facts, orders=open_ones), None).reconciled


def test_a_position_still_held_or_of_another_run_is_no_round_trip(
    facts: Facts, journal: JournalRows
) -> None:
    (position,) = facts.positions

    held = replace(facts, positions=(replace(position, phase="PROTECTED"),))
    other = replace(facts, positions=(replace(position, run_id="run_other"),))

    assert round_trips(held, journal) == ()
    assert round_trips(other, journal) == ()
