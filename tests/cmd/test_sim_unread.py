"""`livespot sim` when whoever read its output has gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode


@pytest.mark.slow
def test_a_run_goes_on_to_its_end_when_nobody_reads_any_more(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[panel]\nport = 0\n", encoding="utf-8")
    asked = ("--for", "2s", "--var", tmp_path / "var", "--config", config)

    with subprocess.Popen(
        [sys.executable, "-m", "livespot_cmd.main", "sim", *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        if run.stdout is None or run.stderr is None:
            raise RuntimeError("no pipes")
        assert b"simulation" in run.stdout.readline()
        run.stdout.close()
        errors = run.stderr.read()

    assert run.returncode == ExitCode.CLEAN, errors
    assert b"Traceback" not in errors
