"""Runs every check on a finished run: those of the evidence and those of the fault search."""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from livespot.evidence.findings import Finding
from livespot.evidence.invariants import check_all
from livespot.evidence.journal import JournalRequest, JournalRows
from livespot.exchange.faults.plan import SetFilter
from livespot.exchange.journal import ModeRow, RequestRow
from livespot.testing.search.answer_checks import (
    answers_are_booked,
    each_fill_is_told_once,
    no_answer_is_left_unread,
    turned_away,
)
from livespot.testing.search.fence_checks import (
    absence_only_behind_the_fence,
    signed_with_the_right_time,
)
from livespot.testing.search.growth_checks import (
    collections_stay_small,
    log_stays_small,
    no_task_outlives_its_life,
    queues_are_bounded,
)
from livespot.testing.search.house_checks import (
    an_unwritable_end_is_announced,
    the_machine_is_spoken_of,
)
from livespot.testing.search.life_checks import (
    alive_after_healing,
    one_writer,
    restart_changes_nothing,
)
from livespot.testing.search.limit_checks import limits_are_respected
from livespot.testing.search.limits_of_risk import (
    decisions_are_fresh,
    nothing_offered_twice,
    risk_limits_hold,
    settings_of,
)
from livespot.testing.search.panel_checks import the_panel_only_reads
from livespot.testing.search.promise_checks import (
    conditions_are_announced,
    moves_and_alerts_are_one,
    no_entry_before_the_first_look,
    no_id_offered_twice,
    no_secret_left,
)
from livespot.testing.search.protection_checks import protected_or_paused, protection_only_tightens
from livespot.testing.search.record_checks import (
    evidence_is_monotone,
    faults_fired,
    money_adds_up,
    output_is_bounded,
)
from livespot.testing.search.stale_checks import stale_views_are_said
from livespot.testing.search.witness import Witness, house_steps, stood_still

_FILTER_FAILURE = "-1013"

CHECKS: tuple[Callable[[Witness], Finding], ...] = (
    absence_only_behind_the_fence,
    answers_are_booked,
    each_fill_is_told_once,
    no_answer_is_left_unread,
    protected_or_paused,
    protection_only_tightens,
    limits_are_respected,
    alive_after_healing,
    one_writer,
    restart_changes_nothing,
    evidence_is_monotone,
    signed_with_the_right_time,
    money_adds_up,
    faults_fired,
    output_is_bounded,
    no_id_offered_twice,
    nothing_offered_twice,
    no_entry_before_the_first_look,
    risk_limits_hold,
    moves_and_alerts_are_one,
    conditions_are_announced,
    decisions_are_fresh,
    no_secret_left,
    queues_are_bounded,
    no_task_outlives_its_life,
    log_stays_small,
    collections_stay_small,
    the_machine_is_spoken_of,
    an_unwritable_end_is_announced,
    stale_views_are_said,
    the_panel_only_reads,
)


def judge(witness: Witness) -> tuple[Finding, ...]:
    """All findings by number."""
    usual = check_all(witness.facts, unfaulted(witness), _set_back_untold_ms(witness))
    found = [*usual, *(check(witness) for check in CHECKS)]
    return tuple(sorted(found, key=lambda finding: finding.id))


def _set_back_untold_ms(witness: Witness) -> int:
    """Return by how much the runtime's clock was set back at most without having to report it."""
    allowed_ms = settings_of(witness).time.clock_drift_max_ms
    back = (-ms for _, ms in house_steps(witness.plan) if ms < 0)
    return max((ms for ms in back if ms <= allowed_ms), default=0)


def line_of(finding: Finding) -> str:
    """Return a check's result in one line."""
    mark = "VIOLATED" if finding.violated else "holds" if finding.looked_at else "unseen"
    return f"{finding.id} {mark:8} {finding.title}: {finding.detail or finding.looked_at}"


def unfaulted(witness: Witness) -> JournalRows:
    """Return the journal as an honest exchange with a true clock would have written it.

    Answers that a fault invented are left out, times that a fault moved are corrected. Where either
    clock was moved, the time in a signature means nothing and is replaced by ours.
    """
    rows = dict(witness.requests())
    intents, sent = witness.facts.intent_of(), witness.facts.sent_at()
    excused = set(_refused_by_news(witness))
    clock_moved = witness.clock_moved or witness.house_moved
    stood = stood_still(witness)

    def restored(request: JournalRequest) -> JournalRequest:
        stamp_ms = request.arrived_ms + stood.get(request.arrived_ms, 0)
        arrived_ms = witness.at(request.row, stamp_ms) - _set_on_its_way_ms(witness, request.row)
        params = request.params
        if clock_moved and request.own_ids:
            intent = intents.get(request.own_ids[0])
            ours = sent.get(intent.order_intent_id, arrived_ms) if intent else arrived_ms
            params = {**params, "timestamp": str(ours)}
        outcome = request.outcome
        if (rows[request.row].fault and not request.accepted) or request.row in excused:
            outcome = "faulted"
        return replace(request, arrived_ms=arrived_ms, params=params, outcome=outcome)

    looked_into = (r for r in witness.journal.requests if not turned_away(r))
    return replace(witness.journal, requests=tuple(restored(r) for r in looked_into))


def _set_on_its_way_ms(witness: Witness, place: int) -> int:
    """By how much the runtime's clock was set between a request's first byte and its arrival.

    A fault may hold it that long. What was written before it is dated by the clock it left under.
    """
    row = witness.rows[place - 1]
    if not isinstance(row, RequestRow) or not 0 < row.t_first_byte < row.t_arrive:
        return 0
    began_ms, arrived_ms = (witness.market_at(place, ms) for ms in (row.t_first_byte, row.t_arrive))
    return sum(ms for at_ms, ms in house_steps(witness.plan) if began_ms < at_ms <= arrived_ms)


def _refused_by_news(witness: Witness) -> Iterator[int]:
    """Places of the first order of a symbol that a filter refuses after each change of filters.

    Nobody can know of a change before the symbol's rules are read again; the refusal itself must
    make that happen.
    """
    news: set[str] = set()
    symbols = {f.id: f.what.symbol for f in witness.plan.faults if isinstance(f.what, SetFilter)}
    for place, row in enumerate(witness.rows, 1):
        if isinstance(row, ModeRow) and row.fault in symbols:
            news.add(symbols[row.fault])
        elif isinstance(row, RequestRow) and row.outcome.endswith(_FILTER_FAILURE):
            symbol = row.params.get("symbol", "")
            if symbol in news:
                news.discard(symbol)
                yield place
