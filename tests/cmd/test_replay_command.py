"""`livespot replay` as a process: the same bytes again, and one sentence for what cannot be."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from livespot.contracts.errors import ExitCode
from livespot.evidence.summary import RunSummary
from livespot.runtime.paths import Paths
from livespot.runtime.replay_difference import first_difference

_COMMAND = (sys.executable, "-m", "livespot_cmd.main", "replay")
# From before the entry to after the stop of the recorded round trip.
_TRADING = ("--from", "2021-04-22T00:03", "--for", "10m", "--symbols", "solusdt")


def _run(
    *arguments: object, hash_seed: str = "0", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        cwd=cwd,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "NO_COLOR": "1"},
    )


def _document(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert run.returncode == ExitCode.CLEAN, run.stderr
    found = json.loads(run.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_ten_minutes_repeat_to_the_byte_elsewhere_and_with_other_hashes(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    first = _document(_run(*_TRADING, "--json", "--var", tmp_path / "first"))
    again = _run(*_TRADING, "--json", "--var", "again", hash_seed="99", cwd=tmp_path / "elsewhere")
    second = _document(again)

    assert first["audit_hash"] == second["audit_hash"]
    assert first["journal_sha256"] == second["journal_sha256"]
    places = (Paths(var=tmp_path / "first"), Paths(var=tmp_path / "elsewhere" / "again"))
    assert first_difference(*places) is None
    assert [trip["exit_reason"] for trip in first["summary"]["trips"]] == ["STOP_LOSS"]
    assert 600_000 <= first["virtual_ms"] < 601_000
    assert set(first["summary"]) == set(RunSummary.__struct_fields__)


@pytest.mark.slow
def test_a_check_repeats_it_in_a_second_process_and_says_so(tmp_path: Path) -> None:
    run = _run("--for", "20s", "--symbols", "SOLUSDT", "--check", "--var", tmp_path / "checked")

    assert run.returncode == ExitCode.CLEAN, run.stderr
    assert "every event, row and journal line is the same" in run.stdout
    assert Paths(var=tmp_path / "checked" / "repetition").database.is_file()


@pytest.mark.slow
def test_the_summary_counts_what_each_planned_fault_hit(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[faults]]\nid = "no-time"\nmatch = { path = "/api/v3/time" }\nwhen = { count = 1 }\n'
        'what = { verb = "net.drop_request", target = "rest", then = "reset" }\n'
        '[[faults]]\nid = "too-late"\nwhen = { after_ms = 3600000 }\n'
        'what = { verb = "ex.ban", ms = 1000 }\n',
        encoding="utf-8",
    )

    run = _run("--for", "20s", "--symbols", "SOLUSDT", "--faults", plan, "--var", tmp_path / "var")

    assert run.returncode == ExitCode.CLEAN, run.stderr
    assert "no-time 1, too-late never" in run.stdout


@pytest.mark.slow
def test_answers_of_a_recorded_run_are_given_again(tmp_path: Path) -> None:
    """A run that was never asked holds no answer, which is an error of the gate."""
    span = ("--from", "2021-04-22T00:04", "--for", "90s", "--symbols", "SOLUSDT", "--json")
    told = _document(_run(*span, "--var", tmp_path / "told"))
    same = _document(_run(*span, "--gate", tmp_path / "told", "--var", tmp_path / "same"))
    _document(_run("--for", "5s", "--symbols", "SOLUSDT", "--json", "--var", tmp_path / "quiet"))
    silent = _run(*span, "--gate", tmp_path / "quiet", "--var", tmp_path / "silent")

    allowed = [{"name": "ALLOW", "count": 1}]
    assert told["summary"]["counts"]["gate_verdicts"] == allowed
    assert same["summary"]["counts"]["gate_verdicts"] == allowed
    assert silent.returncode == ExitCode.PAUSED
    assert json.loads(silent.stdout)["summary"]["counts"]["gate_verdicts"][0]["name"] == "ERROR"


@pytest.mark.slow
def test_interrupted_it_ends_in_order_and_sums_up(tmp_path: Path) -> None:
    command = [*_COMMAND, "--for", "5h", "--symbols", "SOLUSDT", "--var", str(tmp_path / "var")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        # The first line of progress: the run is under way.
        while "times as fast" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == ExitCode.CLEAN
    assert "interrupted, and ended in order at" in said
    assert "0 violated" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--from", "2022-01-01T00:00"), ExitCode.PREFLIGHT, "2021-04-10T00:05 to"),
        (("--symbols", "SOLUSD"), ExitCode.PREFLIGHT, "did you mean SOLUSDT?"),
        (("--to", "2021-04-22T00:05", "--for", "1m"), ExitCode.USAGE, "give one of them"),
        (("--faults", "absent.toml"), ExitCode.USAGE, "the fault plan cannot be used"),
        (("--gate", "absent"), ExitCode.PREFLIGHT, "no model's answers"),
        (("--config", "absent.toml"), ExitCode.USAGE, "absent.toml"),
    ],
    ids=["span", "symbol", "two ends", "plan", "gate", "config"],
)
def test_what_cannot_be_replayed_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, ...], code: ExitCode, said: str
) -> None:
    run = _run(*arguments, "--var", tmp_path / "var", cwd=tmp_path)

    assert run.returncode == code
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_exists_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine", encoding="utf-8")

    run = _run("--for", "1s", "--symbols", "SOLUSDT", "--var", tmp_path)

    assert run.returncode == ExitCode.PREFLIGHT
    assert "writes over nothing" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_backtest_writes_its_log_and_its_report_and_nothing_else(tmp_path: Path) -> None:
    var = tmp_path / "var"
    found = _document(
        _run(
            "--profile", "backtest", "--for", "20m", "--symbols", "btcusdt", "--json", "--var", var
        )
    )

    assert found["cycles"] == 20
    assert found["profile"] == "backtest"
    assert found == json.loads((var / "backtest.json").read_bytes())
    assert {path.name for path in var.iterdir()} == {
        "backtest.json",
        "backtest.jsonl",
        "livespot.lock",
    }


@pytest.mark.parametrize("beside", [("--check",), ("LAST",)], ids=["check", "run"])
def test_a_backtest_refuses_what_only_a_replay_has(tmp_path: Path, beside: tuple[str, ...]) -> None:
    run = _run(*beside, "--profile", "backtest", "--var", tmp_path / "var")

    assert run.returncode == ExitCode.USAGE
    assert "a backtest has no" in run.stderr
    assert list(tmp_path.iterdir()) == []
