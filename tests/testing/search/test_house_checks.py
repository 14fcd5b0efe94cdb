"""A machine whose mishaps nobody speaks of, and an operator nobody hears, are found."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import OperatorAction, Severity
from livespot.evidence.rows import AlertFact, CommandFact
from livespot.exchange.journal import RequestRow
from livespot.testing.search.board import Noted
from livespot.testing.search.house_checks import (
    an_unwritable_end_is_announced,
    the_machine_is_spoken_of,
)
from livespot.testing.search.troubles import (
    ActorName,
    ActorRaises,
    ActorStalls,
    ClockSet,
    DiskFull,
    MachineSleeps,
    OperatorSays,
    Trouble,
    What,
)
from livespot.testing.search.witness import Witness

_AT_MS = 40_000
_PAUSE = OperatorSays(action=OperatorAction.PAUSE)


def befallen(witness: Witness, what: What, for_ms: int = 1, *more: What) -> Witness:
    troubles = [Trouble(id="it", what=what, after_ms=_AT_MS, for_ms=for_ms)]
    troubles += [Trouble(id=f"m{n}", what=one, after_ms=1) for n, one in enumerate(more)]
    hit = Noted(t_ms=witness.plan.start_ms + _AT_MS, id="it", verb=troubles[0].verb)
    plan = changed(witness.plan, troubles=tuple(troubles))
    return replace(witness, plan=plan, hits=(hit,))


def alert(witness: Witness, code: str, after_ms: int) -> AlertFact:
    at_ms = witness.plan.start_ms + _AT_MS + after_ms
    run = witness.facts.run_id
    return AlertFact(run_id=run, severity="WARN", code=code, text="", symbol="", at_ms=at_ms)


@pytest.mark.parametrize(
    ("what", "for_ms", "code", "after_ms"),
    [
        (ActorRaises(actor="risk"), 1, "ACTOR_FAILED", 900),
        (MachineSleeps(), 10_000, "SUSPEND_DETECTED", 11_000),
    ],
)
def test_an_actor_that_broke_and_a_sleep_must_be_said(
    witness: Witness, what: What, for_ms: int, code: str, after_ms: int
) -> None:
    silent = befallen(witness, what, for_ms)
    alerts = (*witness.facts.alerts, alert(witness, code, after_ms))
    said = replace(silent, facts=changed(silent.facts, alerts=alerts))
    late = (*witness.facts.alerts, alert(witness, code, for_ms + 5200))

    assert the_machine_is_spoken_of(silent).violated
    assert the_machine_is_spoken_of(said).proven
    told_late = replace(silent, facts=changed(silent.facts, alerts=late))
    assert the_machine_is_spoken_of(told_late).violated


def test_a_command_that_nobody_took_is_found(witness: Witness) -> None:
    unheard = befallen(witness, _PAUSE)
    at_ms = witness.plan.start_ms + _AT_MS + 260
    command = CommandFact(
        run_id=witness.facts.run_id, action="PAUSE", outcome="accepted", at_ms=at_ms
    )
    heard = replace(unheard, facts=changed(unheard.facts, commands=(command,)))

    assert the_machine_is_spoken_of(unheard).violated
    assert the_machine_is_spoken_of(heard).proven


def test_a_command_left_while_the_machine_sleeps_counts_from_its_waking(witness: Witness) -> None:
    asleep = befallen(witness, MachineSleeps(), 20_000, _PAUSE)
    left_ms = witness.plan.start_ms + _AT_MS + 300
    unheard = replace(
        asleep, hits=(*asleep.hits, Noted(t_ms=left_ms, id="m0", verb="operator.command"))
    )
    told = changed(unheard.facts, alerts=(alert(witness, "SUSPEND_DETECTED", 20_100),))

    def heard(after_ms: int) -> Witness:
        at_ms = witness.plan.start_ms + _AT_MS + after_ms
        command = CommandFact(
            run_id=witness.facts.run_id, action="PAUSE", outcome="accepted", at_ms=at_ms
        )
        return replace(unheard, facts=changed(told, commands=(command,)))

    assert the_machine_is_spoken_of(heard(25_000)).proven
    assert the_machine_is_spoken_of(heard(25_001)).violated
    assert "operator.command" in the_machine_is_spoken_of(replace(unheard, facts=told)).detail


@pytest.mark.parametrize(
    "mute", [DiskFull(), ActorStalls(actor="governor", ms=9000), ClockSet(ms=60_000)]
)
def test_nothing_is_asked_where_nothing_can_be_written_nobody_acts_or_time_is_wrong(
    witness: Witness, mute: What
) -> None:
    unheard = befallen(witness, _PAUSE)

    assert the_machine_is_spoken_of(unheard).violated
    assert not the_machine_is_spoken_of(befallen(witness, _PAUSE, 1, mute)).looked_at


def test_a_sleep_is_asked_for_from_the_length_on_that_tells_it_from_a_late_timer(
    witness: Witness,
) -> None:
    assert the_machine_is_spoken_of(befallen(witness, MachineSleeps(), 6000)).violated
    assert not the_machine_is_spoken_of(befallen(witness, MachineSleeps(), 5999)).looked_at


def test_an_actor_that_breaks_again_within_a_minute_need_not_be_said_again(
    witness: Witness,
) -> None:
    def twice(actor: ActorName, apart_ms: int) -> Witness:
        broken = befallen(witness, ActorRaises(actor="risk"), 1, ActorRaises(actor=actor))
        again = Noted(t_ms=broken.hits[0].t_ms + apart_ms, id="m0", verb="actor.raise")
        told = (*witness.facts.alerts, alert(witness, "ACTOR_FAILED", 20))
        return replace(broken, hits=(*broken.hits, again), facts=changed(broken.facts, alerts=told))

    assert the_machine_is_spoken_of(twice("risk", 60_000)).proven
    assert the_machine_is_spoken_of(twice("risk", 60_001)).violated
    assert the_machine_is_spoken_of(twice("scanner", 20_000)).violated


@pytest.mark.parametrize("action", [OperatorAction.STOP, OperatorAction.HALT])
def test_whoever_asks_for_the_end_is_answered_by_the_end(
    witness: Witness, action: OperatorAction
) -> None:
    assert not the_machine_is_spoken_of(befallen(witness, OperatorSays(action=action))).looked_at


def test_a_life_that_ended_before_its_word_was_due_is_not_asked(witness: Witness) -> None:
    unheard = befallen(witness, _PAUSE)
    first = unheard.lives[0]
    due_ms = witness.plan.start_ms + _AT_MS + 5000
    brief, just = (
        replace(unheard, lives=(replace(first, over_ms=over_ms),))
        for over_ms in (due_ms, due_ms + 2)
    )

    assert not the_machine_is_spoken_of(brief).looked_at
    assert the_machine_is_spoken_of(just).violated


def test_a_sleep_may_be_told_once_the_time_could_be_asked_for(witness: Witness) -> None:
    """The question for the time is lost after the sleep, and answered nine seconds later."""
    slept = befallen(witness, MachineSleeps(), 10_000)
    awake_ms = witness.plan.start_ms + _AT_MS + 10_000
    lost, answered = (
        RequestRow(
            rid=900 + n,
            conn="rest-1",
            t_arrive=at_ms,
            t_reply=at_ms,
            method="GET",
            path="/api/v3/time",
            params={},
            outcome="200",
            delivered=delivered,
        )
        for n, (at_ms, delivered) in enumerate(((awake_ms + 900, False), (awake_ms + 9000, True)))
    )
    asked = replace(slept, rows=(*slept.rows, lost, answered), offsets=(*slept.offsets, 0, 0))
    said = (*witness.facts.alerts, alert(witness, "SUSPEND_DETECTED", 22_000))
    late = (*witness.facts.alerts, alert(witness, "SUSPEND_DETECTED", 24_100))

    assert the_machine_is_spoken_of(replace(asked, facts=changed(asked.facts, alerts=said))).proven
    assert the_machine_is_spoken_of(
        replace(asked, facts=changed(asked.facts, alerts=late))
    ).violated
    assert the_machine_is_spoken_of(
        replace(slept, facts=changed(slept.facts, alerts=said))
    ).violated


def _last_word(at_ms: int, severity: Severity = Severity.CRIT, *, why: ReasonCode) -> Alert:
    return Alert(
        severity=severity,
        code=ReasonCode.DISK_LOW_PAUSE,
        reasons=(why,),
        text="nothing can be written",
        at_ms=at_ms,
    )


def test_a_process_that_can_write_nothing_must_say_so_before_it_ends(witness: Witness) -> None:
    (life,) = witness.lives[:1]
    mute = replace(witness, lives=(replace(life, code=ExitCode.AUDIT_UNWRITABLE),))
    word = _last_word(life.over_ms, why=ReasonCode.AUDIT_WRITE_FAILED)
    others = (
        changed(word, at_ms=life.over_ms + 1),
        changed(word, severity=Severity.WARN),
        _last_word(life.over_ms, why=ReasonCode.LOOP_STUCK_PAUSE),
    )

    assert an_unwritable_end_is_announced(mute).violated
    assert an_unwritable_end_is_announced(replace(mute, announced=others)).violated
    assert an_unwritable_end_is_announced(replace(mute, announced=(*others, word))).proven
    moved = befallen(mute, ClockSet(ms=60_000))
    assert not an_unwritable_end_is_announced(moved).looked_at
