"""A machine whose mishaps nobody speaks of, and an operator nobody hears, are found."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from livespot.contracts.vocabulary import OperatorAction
from livespot.evidence.rows import AlertFact, CommandFact
from livespot.exchange.journal import RequestRow
from livespot.testing.search.board import Noted
from livespot.testing.search.house_checks import the_machine_is_spoken_of
from livespot.testing.search.troubles import (
    ActorRaises,
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


def test_nothing_is_asked_of_a_machine_that_cannot_write(witness: Witness) -> None:
    assert not the_machine_is_spoken_of(befallen(witness, _PAUSE, 1, DiskFull())).looked_at


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
