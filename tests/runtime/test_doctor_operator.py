"""The doctor's rows about alerts and about what to do now."""

import dataclasses
from pathlib import Path

import pytest

from livespot.contracts.vocabulary import SysMode
from livespot.panel.advice import step_line
from livespot.rules.doctor import Check, Outcome
from livespot.runtime.doctor_checks_operator import operator_probes
from livespot.runtime.doctor_plan import DoctorPlan, Need, looked_at
from livespot.runtime.placed import placed
from livespot.runtime.standing import standing
from livespot.testing import ledger_rows, panel_story
from livespot.testing.doctor_plans import doctor_plan
from livespot.testing.webhook_catcher import catching

_HOOK = '[alerts]\nwebhook = "hook"\nwebhook_timeout_ms = 300\n'


async def _rows(plan: DoctorPlan, *needs: Need) -> dict[str, Check]:
    asked = dataclasses.replace(plan, needs=frozenset({Need.LOCAL, *needs}))
    found = [row for probe in operator_probes(asked) for row in await looked_at(probe, asked)]
    return {row.id: row for row in found}


def _address(beside: Path, text: str, mode: int = 0o600) -> None:
    path = beside / "hook"
    path.write_text(text, encoding="ascii")
    path.chmod(mode)


async def test_without_a_webhook_console_and_panel_are_enough(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        row = (await _rows(plan, Need.NETWORK))["alerts"]

    assert (row.outcome, row.measured) == (Outcome.PASS, "console, panel; no webhook")


async def test_a_webhook_takes_a_real_test(tmp_path: Path) -> None:
    async with catching() as catcher, doctor_plan(tmp_path / "var", more=_HOOK) as plan:
        _address(tmp_path, catcher.url)
        row = (await _rows(plan, Need.NETWORK))["alerts"]

    assert row.outcome is Outcome.PASS
    assert "took a test" in row.measured
    assert b"a test by livespot doctor" in catcher.caught[0].body


async def test_offline_nothing_is_sent(tmp_path: Path) -> None:
    async with catching() as catcher, doctor_plan(tmp_path / "var", more=_HOOK) as plan:
        _address(tmp_path, catcher.url)
        row = (await _rows(plan))["alerts"]

    assert (row.outcome, catcher.caught) == (Outcome.PASS, [])
    assert "not tried" in row.measured


@pytest.mark.parametrize("answer", ["403 No", "500 Oh", ""])
async def test_a_webhook_that_does_not_take_it_only_warns(tmp_path: Path, answer: str) -> None:
    async with catching() as catcher, doctor_plan(tmp_path / "var", more=_HOOK) as plan:
        catcher.answers[:] = [answer]
        _address(tmp_path, catcher.url)
        row = (await _rows(plan, Need.NETWORK))["alerts"]

    assert row.outcome is Outcome.WARN
    assert "trading does not depend on it" in row.detail
    assert catcher.url not in f"{row}"


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("http://elsewhere.example/SECRET", 0o600, "must use https"),
        ("https://elsewhere.example/SECRET", 0o644, "can be read by other users"),
        ("", 0o600, "is empty"),
        (None, 0, "which is no file"),
    ],
)
async def test_a_webhook_no_run_would_start_with_fails(
    tmp_path: Path, text: str | None, mode: int, why: str
) -> None:
    async with doctor_plan(tmp_path / "var", more=_HOOK) as plan:
        if text is not None:
            _address(tmp_path, text, mode)
        row = (await _rows(plan, Need.NETWORK))["alerts"]

    assert row.outcome is Outcome.FAIL
    assert why in row.detail
    assert "SECRET" not in f"{row}"
    assert row.next_command.endswith(f"{tmp_path / 'hook'})")


async def test_the_doctor_says_the_one_thing_to_do_as_the_panel_does(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        await panel_story.write(
            plan.paths.database, ledger_rows.run_started(), panel_story.mode(SysMode.PAUSE, [])
        )
        with plan.disk.lock(plan.paths.lock, "test"):
            row = (await _rows(plan))["next"]
            step = (await standing(plan.paths)).next

    assert row.outcome is Outcome.WARN
    assert f"{row.measured} ({row.detail})" == placed(step_line(step), plan.paths)
    assert f"livespot resume --var {plan.paths.var}" in row.measured


async def test_a_simulation_that_only_begins_is_not_told_of_the_last_one(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        rows = await _rows(dataclasses.replace(plan, check_standing=False))

    assert "next" not in rows
