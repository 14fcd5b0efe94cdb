"""The next boot completes the folder of a run that was killed, beside its own work, and says so."""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.evidence.run_folder import changed_since
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.runtime.run_evidence import complete_killed
from livespot.testing import finished_run
from livespot.testing.finished_run import RUN


@pytest.mark.slow
async def test_the_next_boot_completes_what_a_killed_run_left_and_says_so(tmp_path: Path) -> None:
    database = await finished_run.told(tmp_path)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER runs_end_once")
        connection.execute("UPDATE runs SET clean = 0, exit_code = -1")
    paths, told = Paths(var=tmp_path), list[Alert]()

    await complete_killed(paths, told.append)

    (alert,) = told
    assert (alert.severity, alert.text) == (
        Severity.INFO,
        f"the evidence of {RUN} is complete now",
    )
    folder = paths.runs / RUN
    manifest = json.loads((folder / "run_manifest.json").read_bytes())
    assert manifest["completed_by"] == "the next boot"
    assert manifest["internal_collapse_reason"] == "UNCLEAN_SHUTDOWN"
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names >= {"summary.json", "report.md", "report.html", "recon_report.json", "SHA256SUMS"}
    assert changed_since(RealDisk(), paths.runs, RUN) == ()

    await complete_killed(paths, told.append)

    assert told == [alert]


@pytest.mark.slow
async def test_a_process_that_cannot_be_started_ends_nothing_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await finished_run.told(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no such interpreter"))
    told: list[Alert] = []

    await complete_killed(Paths(var=tmp_path), told.append)

    (alert,) = told
    assert alert.severity is Severity.WARN
    assert alert.text.startswith(f"the evidence of {RUN} could not be completed")
    assert "livespot report --var " in alert.text
