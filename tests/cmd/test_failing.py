"""Every expected error tells its cause, what it means and what comes next."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from livespot.contracts import errors
from livespot.contracts.errors import ExitCode, LivespotError
from livespot.exchange.recorded import RecordedDataInvalid
from livespot_cmd.failing import tell, tell_system
from livespot_cmd.main import livespot, main

_SAMPLES: list[LivespotError] = [
    errors.Unreachable("no answer"),
    errors.Throttled(retry_after_ms=5, banned=False),
    errors.StoreBusy("held"),
    errors.OutcomeUnknown("X_1", "timeout"),
    errors.NotSent("no route"),
    errors.KeyRefused(-2015, "no"),
    errors.ConfigInvalid(["a is wrong", "b is wrong"]),
    errors.PayloadInvalid("what?"),
    errors.LedgerViolation("twice"),
    errors.PreflightFailed("not ready"),
    errors.LockMissing("no flag"),
    errors.SecondInstance("held"),
    errors.SchemaMismatch("too old"),
    errors.AuditUnwritable("full"),
]


@pytest.mark.parametrize("error", _SAMPLES, ids=lambda error: type(error).__name__)
def test_cause_consequence_and_next_step_are_all_told(
    error: LivespotError, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tell(error)
    told = capsys.readouterr()

    assert code in set(ExitCode) - {ExitCode.CLEAN}
    assert told.out == ""
    causes = error.problems if isinstance(error, errors.ConfigInvalid) else (str(error),)
    assert all(cause in told.err for cause in causes)
    consequence, step = told.err.splitlines()[len(causes) : len(causes) + 2]
    assert consequence.endswith(".")
    assert step.startswith("Next: ")
    for name in re.findall(r"livespot ([a-z]+)", step):
        context = livespot.make_context("livespot", [], resilient_parsing=True)
        assert livespot.get_command(context, name) is not None


def test_data_that_cannot_be_used_leads_to_the_sets(capsys: pytest.CaptureFixture[str]) -> None:
    tell(RecordedDataInvalid("no manifest"))

    assert "Next: livespot exchange --data list" in capsys.readouterr().err


def test_a_text_that_names_its_next_step_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell(errors.PreflightFailed("no data.\nNext: name another"))

    assert capsys.readouterr().err == "Error: no data.\nNext: name another\n"


def test_what_the_system_refuses_is_told_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_system(OSError("no room")) == ExitCode.PREFLIGHT
    assert "Next: livespot doctor --offline" in capsys.readouterr().err


_PLACE = Path("/a place")


@pytest.mark.parametrize("error", _SAMPLES, ids=lambda error: type(error).__name__)
def test_every_next_step_repeats_the_state_directory_that_was_given(
    error: LivespotError, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(error, _PLACE)

    told = capsys.readouterr().err
    (step,) = re.findall(r"^Next: .*", told, re.MULTILINE)
    commands = re.findall(r"livespot [a-z]+( [a-z]+)?( --var '/a place')?", step)
    assert commands
    assert all(place for _, place in commands), step


def test_a_step_that_the_error_names_itself_repeats_it_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell(
        errors.SecondInstance("somebody runs: `livespot stop` ends it\nNext: livespot next"), _PLACE
    )
    tell_system(OSError("no room"), _PLACE)

    told = capsys.readouterr().err
    assert "`livespot stop --var '/a place'`" in told
    assert "Next: livespot next --var '/a place'" in told
    assert "Next: livespot doctor --var '/a place' --offline" in told


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (["triage", "--var"], "livespot sim --var '{}' --for 3m"),
        (["explain", "SOLUSDT", "--var"], "livespot sim --var '{}' --for 3m"),
        (["status", "--var"], "livespot migrate --var '{}'"),
        (["next", "--var"], "livespot sim --var '{}' --for 3m"),
        (["resume", "--reason", "looked", "--var"], "livespot status --var '{}'"),
        (["exposure", "close", "SOLUSDT", "--reason", "x", "--var"], "exposure list --var '{}'"),
    ],
)
def test_a_command_repeats_it_in_the_whole_program(
    arguments: list[str],
    step: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / "a place"
    monkeypatch.setattr("sys.argv", ["livespot", *arguments, str(place)])

    assert main() != 0

    assert step.format(place) in capsys.readouterr().err


def test_a_misspelt_name_of_a_data_set_is_answered_with_the_right_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        livespot,
        ["replay", "--data", "recoded", "--for", "20s", "--var", str(tmp_path / "var")],
        standalone_mode=False,
    )

    assert isinstance(done.exception, RecordedDataInvalid)
    assert "did you mean recorded?" in str(done.exception)
