"""`livespot drill` as an operator meets it."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from livespot.contracts.errors import ConfigInvalid, ExitCode, PreflightFailed
from livespot.rules.drills import DRILLS
from livespot.runtime.disk import RealDisk
from livespot.runtime.drill_record import proof
from livespot.runtime.paths import Paths
from livespot_cmd.drill import drill


def drilled(*arguments: str) -> Result:
    return CliRunner().invoke(drill, arguments, standalone_mode=False)


@pytest.mark.slow
def test_one_drill_prints_a_table_and_leaves_a_record_that_is_no_pass(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path / "var")

    done = drilled("lost-ack", "--var", str(paths.var))

    assert done.exception is None
    assert done.return_value == ExitCode.CLEAN
    heading, row, last = done.stdout.splitlines()
    assert heading == (
        "drill | injected | SysMode path | duplicates | lost fills | max unprotected ms | verdict"
    )
    assert row.startswith("lost-ack | ")
    assert row.endswith("DEGRADE > NORMAL | 0 | 0 | 0 | PASS")
    (record,) = paths.drills.iterdir()
    assert last == f"1 of 1 passed; kept in {record}"
    assert oct(record.stat().st_mode & 0o777) == oct(0o600)
    assert "only some" in proof(RealDisk(), paths).problem


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_drills_together_stay_within_their_minute_and_are_a_pass(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path / "var")

    done = drilled("--var", str(paths.var), "--json")

    assert done.return_value == ExitCode.CLEAN, done.output
    said = json.loads(done.stdout)
    assert [row["name"] for row in said["rows"]] == list(DRILLS)
    assert said["replaced"] == []
    for row in said["rows"]:
        assert row["problems"] == []
        assert row["hits"] >= 1
        assert (row["duplicates"], row["lost_fills"]) == (0, 0)
        assert row["max_unprotected_ms"] <= 5000
        assert row["modes"][:2] == ["DEGRADE", "NORMAL"]
    assert sum(row["cpu_ms"] for row in said["rows"]) < 60_000
    (record,) = paths.drills.iterdir()
    assert json.loads(record.read_text()) == said
    assert proof(RealDisk(), paths).problem == ""


@pytest.mark.slow
def test_a_drill_runs_on_the_users_own_settings_and_keeps_its_files_if_asked(
    tmp_path: Path,
) -> None:
    config, keep = tmp_path / "own.toml", tmp_path / "kept"
    config.write_text('[venue]\norder_transport = "REST"\n')
    arguments = ("--var", str(tmp_path / "var"), "--config", str(config), "--keep", str(keep))

    done = drilled("lost-ack", *arguments)

    assert done.return_value == ExitCode.CLEAN
    journal = (keep / "lost-ack" / "exchange-journal.jsonl").read_text()
    assert '"method":"POST","path":"/api/v3/orderList' in journal
    assert (keep / "lost-ack" / "data" / "audit.sqlite").is_file()


@pytest.mark.slow
def test_a_failed_drill_is_told_recorded_and_no_success(tmp_path: Path) -> None:
    paths, config = Paths(var=tmp_path / "var"), tmp_path / "own.toml"
    config.write_text("[timing]\nmutation_timeout_ms = 604800000\n")

    done = drilled("lost-ack", "--var", str(paths.var), "--config", str(config))

    assert done.return_value == ExitCode.PREFLIGHT
    assert "lost-ack: with these limits it would take" in done.stdout
    assert "0 of 1 passed" in done.stdout
    assert proof(RealDisk(), paths).problem == "crash drills failed: lost-ack"


def test_a_directory_with_files_in_it_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    done = drilled("ban", "--var", str(tmp_path / "var"), "--keep", str(tmp_path))

    assert isinstance(done.exception, PreflightFailed)
    assert os.listdir(tmp_path) == ["mine"]


def test_a_broken_configuration_is_refused_before_anything_runs(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[risk]\nper_trade = 1\n")

    done = drilled("ban", "--var", str(tmp_path / "var"), "--config", str(config))

    assert isinstance(done.exception, ConfigInvalid)
    assert not (tmp_path / "var").exists()


def test_an_unknown_drill_is_wrong_usage() -> None:
    done = drilled("earthquake")

    assert "lost-ack" in str(done.exception)
