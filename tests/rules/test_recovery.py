from dataclasses import replace

import msgspec
import pytest

from livespot.contracts.queries import LastRun
from livespot.contracts.vocabulary import Mode, SignalLevel, SysMode
from livespot.rules.recovery import BootFacts, RecoveryChoice, decide

CLEAN = BootFacts(
    last_run=None,
    open_positions=0,
    open_orders=0,
    bare=0,
    unverified=0,
    unsettled=0,
    drift_level=SignalLevel.CLEAR,
    reads_failed=False,
)
RUN = LastRun(
    run_id="run_x",
    mode=Mode.SIM,
    sysmode=SysMode.NORMAL,
    ended=True,
    exit_code=0,
    last_seq=9,
    last_hash="h",
    started_at_ms=1,
)


@pytest.mark.parametrize(
    ("facts", "choice", "level"),
    [
        pytest.param(CLEAN, RecoveryChoice.CLEAN, SignalLevel.CLEAR, id="first-run"),
        pytest.param(
            replace(CLEAN, open_positions=1, open_orders=2),
            RecoveryChoice.RESUME_MANAGE_ONLY,
            SignalLevel.CLEAR,
            id="protected-position",
        ),
        pytest.param(
            replace(CLEAN, open_positions=1, bare=1),
            RecoveryChoice.RESUME_MANAGE_ONLY,
            SignalLevel.DEGRADE,
            id="bare-position-being-repaired",
        ),
        pytest.param(
            replace(CLEAN, unsettled=1),
            RecoveryChoice.RESUME_MANAGE_ONLY,
            SignalLevel.DEGRADE,
            id="unsettled-intent",
        ),
        pytest.param(
            replace(CLEAN, reads_failed=True),
            RecoveryChoice.RESUME_MANAGE_ONLY,
            SignalLevel.DEGRADE,
            id="exchange-unreadable-nothing-at-risk",
        ),
        pytest.param(
            replace(CLEAN, open_positions=1, bare=1, unverified=1, reads_failed=True),
            RecoveryChoice.AMBIGUOUS_PAUSE,
            SignalLevel.PAUSE,
            id="bare-and-unverifiable",
        ),
        pytest.param(
            replace(CLEAN, drift_level=SignalLevel.PAUSE),
            RecoveryChoice.AMBIGUOUS_PAUSE,
            SignalLevel.PAUSE,
            id="unexplained",
        ),
        pytest.param(
            replace(CLEAN, open_positions=1, bare=1, drift_level=SignalLevel.PAUSE),
            RecoveryChoice.CLOSE_SAFELY_THEN_PAUSE,
            SignalLevel.PAUSE,
            id="inconsistent-but-closable",
        ),
        pytest.param(
            replace(CLEAN, last_run=RUN),
            RecoveryChoice.CLEAN,
            SignalLevel.CLEAR,
            id="clean-end",
        ),
    ],
)
def test_the_most_careful_choice_the_facts_allow(
    facts: BootFacts, choice: RecoveryChoice, level: SignalLevel
) -> None:
    outcome = decide(facts)

    assert (outcome.choice, outcome.level) == (choice, level)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(msgspec.structs.replace(RUN, sysmode=SysMode.PAUSE), id="last-mode"),
        pytest.param(
            msgspec.structs.replace(RUN, sysmode=SysMode.EXIT, exit_code=10), id="exit-code"
        ),
        pytest.param(
            msgspec.structs.replace(RUN, sysmode=SysMode.PAUSE, ended=False), id="killed-in-pause"
        ),
    ],
)
def test_a_run_that_ended_in_pause_boots_in_pause(run: LastRun) -> None:
    outcome = decide(replace(CLEAN, last_run=run))

    assert outcome.choice is RecoveryChoice.STAY_PAUSED
    assert outcome.level is SignalLevel.PAUSE
    assert outcome.unclean is not run.ended
