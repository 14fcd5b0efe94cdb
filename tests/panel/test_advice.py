"""There is always exactly one next step, and the most urgent one wins."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.panel.advice import next_step, step_line
from livespot.panel.dashboard import (
    ExecutionView,
    HeaderView,
    IntentView,
    NextStep,
    ProcessView,
    ReasonView,
)
from livespot.panel.database import opened
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.testing import ledger_rows, panel_story

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


def test_a_run_that_sends_nothing_never_says_that_entries_are_allowed() -> None:
    step = next_step(
        ProcessView(state="RUNNING"),
        HeaderView(mode="SHADOW", sysmode="NORMAL"),
        ExecutionView(),
        (),
        0,
    )

    assert step.action == "Nothing to do."
    assert "nothing is sent" in step.why
    assert "allowed" not in step.why


@pytest.mark.parametrize(
    ("protected", "said"),
    [(True, "whose stop rests on the exchange meanwhile"), (False, "AUSDT has no live stop")],
)
async def test_after_a_crash_it_is_said_whether_what_is_held_is_safe(
    tmp_path: Path, protected: bool, said: str
) -> None:
    path = ledger_rows.fresh(tmp_path)
    await panel_story.told(path)
    async with opened(path) as database:
        dashboard = await read_dashboard(database, Vantage(now_ms=panel_story.NOW_MS))
    (held,) = dashboard.positions
    position = msgspec.structs.replace(held, symbol="AUSDT", protected=protected)

    step = next_step(
        ProcessView(state="CRASHED"), HeaderView(mode="LIVE"), ExecutionView(), (position,), 0
    )

    assert said in step.why
    assert step.urgency == "NOW"


def test_a_pause_without_reasons_waits_for_the_operator() -> None:
    step = next_step(
        ProcessView(state="RUNNING"), HeaderView(sysmode="PAUSE"), ExecutionView(), (), 0
    )

    assert "livespot resume" in step.action


def _down(exit_code: int, *codes: str, mode: str = "LIVE") -> NextStep:
    reasons = tuple(
        ReasonView(
            code=code,
            meaning="",
            action="",
            level="EXIT",
            source="",
            since_ms=0,
            value=0,
            threshold=0,
            unit="",
            detail="",
            count=1,
        )
        for code in codes
    )
    header = HeaderView(mode=mode, sysmode="EXIT", exit_code=exit_code, reasons=reasons)
    return next_step(ProcessView(state="DOWN"), header, ExecutionView(), (), 0)


def test_a_halted_run_asks_for_its_stop_file_first() -> None:
    step = _down(0, "KILL_SWITCH_FILE")

    assert "STOP file" in step.action
    assert "KILL_SWITCH_FILE" in step.why


@pytest.mark.parametrize(("exit_code", "what"), [(20, "crash-notes"), (30, "disk")])
def test_a_run_that_could_not_go_on_is_not_called_orderly(exit_code: int, what: str) -> None:
    step = _down(exit_code)

    assert what in step.action
    assert "in order" not in step.why
    assert step.urgency == "NOW"


@pytest.mark.parametrize(
    ("sysmode", "age_ms", "first"),
    [
        ("NORMAL", 120_000, "Look for"),
        ("DEGRADE", 120_000, "Look for"),
        ("DEGRADE", 119_999, "Wait"),
        ("PAUSE", 120_000, "Look at the panel"),
    ],
)
def test_an_order_unknown_for_two_minutes_comes_before_waiting(
    sysmode: str, age_ms: int, first: str
) -> None:
    intent = IntentView(
        order_intent_id="oi_1",
        decision_id="dec_1",
        action="SUBMIT",
        role="ENTRY",
        symbol="SOLUSDT",
        side="BUY",
        state="SENT_UNKNOWN",
        attempts=1,
        last_error_code="",
        created_ms=0,
        updated_ms=0,
        age_ms=age_ms,
    )
    step = next_step(
        ProcessView(state="RUNNING"),
        HeaderView(sysmode=sysmode),
        ExecutionView(unknown=(intent,)),
        (),
        0,
    )

    assert step.action.startswith(first)


def test_the_step_fits_one_line() -> None:
    assert step_line(NextStep(action="Do\nit.", why="So.")) == "Do it. (So.)"


def test_a_pause_names_the_command_that_ends_it_exactly_once() -> None:
    reason = ReasonView(
        code="OPERATOR_PAUSE",
        meaning="You paused it.",
        action='Resume when you are ready: livespot resume --reason "...".',
        level="PAUSE",
        source="command",
        since_ms=0,
        value=0,
        threshold=0,
        unit="",
        detail="news",
        count=1,
    )
    disk = msgspec.structs.replace(reason, code="DISK_LOW_PAUSE", action="Free space.", detail="")
    lines = [
        step_line(
            next_step(
                ProcessView(state="RUNNING"),
                HeaderView(sysmode="PAUSE", reasons=(first,)),
                ExecutionView(),
                (),
                0,
            )
        )
        for first in (reason, disk)
    ]

    assert [line.count("livespot resume") for line in lines] == [1, 1]
    assert all(".." not in line.replace("...", "") for line in lines)
