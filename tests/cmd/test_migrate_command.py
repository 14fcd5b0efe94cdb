"""`livespot migrate` as an operator meets it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from livespot.contracts.errors import ExitCode
from livespot.store.migrate import migrate as bring_up_to_date
from livespot.store.schema import packaged_migrations
from livespot_cmd.migrate import migrate


def run(*arguments: str) -> Result:
    return CliRunner().invoke(migrate, arguments)


def test_a_database_is_created_and_then_current(tmp_path: Path) -> None:
    path = tmp_path / "data" / "audit.sqlite"

    first = run("--db", str(path))
    second = run("--db", str(path), "--status")

    assert first.exit_code == ExitCode.CLEAN
    assert "applied 0001_runs_and_audit" in first.stdout
    assert second.stdout.endswith("is current\n")


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data" / "audit.sqlite"

    result = run("--db", str(path), "--dry-run")

    assert result.exit_code == ExitCode.CLEAN
    assert "would apply 0001_runs_and_audit" in result.stdout
    assert "livespot migrate" in result.stderr
    assert not path.exists()


def test_status_of_a_missing_database_names_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"

    result = run("--db", str(path), "--status")

    assert result.exit_code == ExitCode.CLEAN
    assert f"run `livespot migrate --db {path}`" in result.stdout


def test_the_next_step_repeats_the_state_directory_that_was_given(tmp_path: Path) -> None:
    looked = run("--var", str(tmp_path), "--status")
    tried = run("--var", str(tmp_path), "--dry-run")

    assert f"run `livespot migrate --var {tmp_path}`" in looked.stdout
    assert f"next: livespot migrate --var {tmp_path}" in tried.stderr


def test_a_newer_database_is_refused_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    run("--db", str(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'future', 'x', 0)")
        (count,) = connection.execute("SELECT count(*) FROM schema_migrations").fetchone()
        connection.execute(f"PRAGMA user_version = {count}")

    result = run("--db", str(path))

    assert result.exit_code == ExitCode.PREFLIGHT
    assert "nothing was changed" in result.stderr
    assert "put a backup in its place" in result.stderr
    assert "Traceback" not in result.output


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = run("--db", str(tmp_path / "file" / "audit.sqlite"))

    assert result.exit_code == ExitCode.AUDIT_UNWRITABLE
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize("folder", ["data", "elsewhere"])
def test_the_backup_stays_with_the_database(tmp_path: Path, folder: str) -> None:
    path = tmp_path / "var" / folder / "audit.sqlite"
    first = packaged_migrations()[:1]
    bring_up_to_date(path, backup_dir=tmp_path / "unused", now_ms=1, migrations=first)

    result = run("--db", str(path))

    home = path.parent.parent if folder == "data" else path.parent
    assert result.exit_code == ExitCode.CLEAN
    assert len(list((home / "backups").iterdir())) == 1
