"""All checks of a finished run, in the order of their numbers."""

from livespot.evidence import audit_checks, journal_checks, ledger_checks
from livespot.evidence.findings import Finding, judged
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts

_NEEDS_JOURNAL = (
    ("I01", "One order per client id"),
    ("I03", "No unknown orders"),
    ("I04", "Written before it is sent"),
    ("I07", "Every fill is in the ledger exactly once"),
    ("I09", "Never sell what is not there"),
    ("I11", "Protection never exceeds the position"),
    ("I13", "No entry outside NORMAL"),
    ("I16", "No avoidable filter rejects"),
    ("I37", "Only our own orders are cancelled"),
)


def check_all(
    facts: Facts, journal: JournalRows | None, set_back_ms: int = 0
) -> tuple[Finding, ...]:
    """Return all findings by number. Without a journal, comparisons with it look at nothing.

    `set_back_ms` is by how much the run's clock is known to have been set back.
    """
    found = [
        ledger_checks.one_effect_per_decision(facts, journal),
        ledger_checks.legal_state_machine(facts),
        ledger_checks.position_is_its_fills(facts),
        ledger_checks.full_decision_chain(facts),
        audit_checks.audit_is_contiguous(facts),
        audit_checks.trail_equals_database(facts),
        audit_checks.every_move_announced(facts),
        audit_checks.modes_move_legally(facts, set_back_ms),
        audit_checks.exits_are_accounted(facts),
        audit_checks.database_is_intact(facts),
    ]
    if journal is None:
        found += [
            judged(name, title, 0, (), note="no exchange journal to compare with")
            for name, title in _NEEDS_JOURNAL
        ]
    else:
        found += _with_journal(facts, journal)
    return tuple(sorted(found, key=lambda finding: finding.id))


def _with_journal(facts: Facts, journal: JournalRows) -> list[Finding]:
    return [
        journal_checks.one_order_per_client_id(facts, journal),
        journal_checks.no_unknown_orders(facts, journal),
        journal_checks.written_ahead(facts, journal),
        journal_checks.every_fill_once(facts, journal),
        journal_checks.balances_not_negative(journal),
        journal_checks.protection_within_position(facts, journal),
        journal_checks.no_entry_outside_normal(facts, journal),
        journal_checks.no_avoidable_filter_rejects(journal),
        journal_checks.only_own_orders_cancelled(facts, journal),
    ]
