"""There is always exactly one next step, and the most urgent one wins."""

from hypothesis import given
from hypothesis import strategies as st

from livespot.panel.advice import next_step
from livespot.panel.dashboard import ExecutionView, HeaderView, ProcessView

PROCESSES = st.sampled_from(["RUNNING", "DOWN", "CRASHED", "UNKNOWN", "NEVER_RAN"])
MODES = st.sampled_from(["NORMAL", "DEGRADE", "PAUSE", "EXIT", ""])


@given(PROCESSES, MODES, st.sampled_from(["LIVE", "SIM", ""]))
def test_every_standing_has_a_step_with_a_reason(state: str, sysmode: str, mode: str) -> None:
    step = next_step(
        ProcessView(state=state), HeaderView(mode=mode, sysmode=sysmode), ExecutionView(), (), 0
    )

    assert step.action
    assert step.why
    assert step.urgency in ("NONE", "SOON", "NOW")


def test_a_dead_live_process_is_urgent_and_a_dead_simulation_is_not() -> None:
    urgency = [
        next_step(
            ProcessView(state="CRASHED"),
            HeaderView(mode=mode, sysmode="NORMAL"),
            ExecutionView(),
            (),
            0,
        ).urgency
        for mode in ("LIVE", "SIM")
    ]

    assert urgency == ["NOW", "SOON"]


def test_a_pause_without_reasons_waits_for_the_operator() -> None:
    step = next_step(
        ProcessView(state="RUNNING"), HeaderView(sysmode="PAUSE"), ExecutionView(), (), 0
    )

    assert "livespot resume" in step.action
