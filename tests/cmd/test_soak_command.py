"""`livespot soak` as a process: refusals, and one short soak from the first fault to its report."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.runtime.paths import Paths
from livespot.testing.workshop import PATIENT


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", "soak", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.mark.slow
def test_a_soak_meets_its_faults_and_says_whether_it_is_ready(tmp_path: Path) -> None:
    config, paths = tmp_path / "patient.toml", Paths(var=tmp_path / "var")
    config.write_text(PATIENT)

    done = run(
        *("--for", "30s", "--every", "70s", "--speed", 5, "--no-entries"),
        *("--var", paths.var, "--config", config),
    )

    assert paths.readiness.is_file(), done.stderr + done.stdout
    found = json.loads(paths.readiness.read_text())
    assert done.returncode == (ExitCode.CLEAN if found["ready"] else ExitCode.PREFLIGHT)
    # Of 150 seconds of market time the first 70 are quiet, and the last 70.
    (fault,) = found["faults"]
    assert (fault["name"], fault["count"] > 0) == ("0001-market-stream-cut", True)
    assert f"Readiness: {found['run_id']}: " in done.stdout
    good = {point["name"] for point in found["points"] if point["good"]}
    assert {"the end", "the invariants", "orders in doubt", "the faults"} <= good
    with closing(sqlite3.connect(paths.database)) as connection:
        assert connection.execute("SELECT count(*) FROM order_intents").fetchone() == (0,)
        modes = {row[0] for row in connection.execute("SELECT mode FROM sysmodes")}
    assert "NORMAL" not in modes


def test_a_span_without_room_for_a_fault_starts_nothing(tmp_path: Path) -> None:
    refused = run("--for", "10s", "--every", "10m", "--var", tmp_path / "var")

    assert refused.returncode == ExitCode.USAGE
    assert "give a longer --for or a shorter --every" in refused.stderr
    assert not (tmp_path / "var").exists()


def test_a_plan_that_cannot_be_used_starts_nothing(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[faults]]\nid = "a"\nwhat = { verb = "net.nonsense" }\n')

    refused = run("--faults", plan, "--var", tmp_path / "var")

    assert refused.returncode == ExitCode.USAGE
    assert "net.nonsense" in refused.stderr
    assert not (tmp_path / "var").exists()
