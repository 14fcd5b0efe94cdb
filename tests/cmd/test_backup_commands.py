"""A run with an open position moves to another directory; the old one refuses to start again."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from livespot.contracts.errors import ExitCode, PreflightFailed
from livespot.contracts.orders import Position
from livespot.contracts.vocabulary import Mode
from livespot.runtime.clock import SystemClock
from livespot.runtime.config import load_settings
from livespot.runtime.disk import RealDisk
from livespot.runtime.launch import Launch, Running, run_launch
from livespot.runtime.paths import Paths
from livespot.runtime.simulation import demo_secrets
from livespot.store.archive import unpack_database
from livespot.store.backup import backup_database
from livespot.store.chain import verify_chain
from livespot.store.migrate import migrate
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing import aged_run, finished_run

pytestmark = pytest.mark.slow
# Bought at 00:05, and the stop is hit after 00:08: in between the position is open.
_SPAN = ("--from", "2021-04-22T00:04", "--for", "2m", "--symbols", "SOLUSDT")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={**os.environ, "NO_COLOR": "1"},
    )


def open_positions(var: Path) -> tuple[Position, ...]:
    ledger = LedgerQueries(ReadOnlyDatabase(Paths(var=var).database))
    return anyio.run(ledger.open_positions)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("held") / "var"
    done = run("replay", *_SPAN, "--var", var, "--json")
    assert done.returncode == ExitCode.CLEAN, done.stderr
    assert [position.symbol for position in open_positions(var)] == ["SOLUSDT"]
    return var


@pytest.fixture
def old(held: Path, tmp_path: Path) -> Path:
    """The state directory of a run that ended with a protected position."""
    return shutil.copytree(held, tmp_path / "old")


async def _start(var: Path) -> None:
    async def watch(running: Running) -> None:
        raise AssertionError(f"{running.run_id} started")

    launch = Launch(
        mode=Mode.SIM,
        paths=Paths(var=var),
        loaded=load_settings(None, path="none"),
        secrets=demo_secrets(),
        clock=SystemClock(),
        account_label="simulation",
        announce=lambda alert: None,
        watch=watch,
    )
    await run_launch(launch)


def test_a_moved_run_stands_in_the_new_place_and_not_in_the_old(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"

    moved = run("backup", "--move", "--to", tmp_path / "usb", "--var", old)
    back = run("restore", tmp_path / "usb", "--var", new)
    judged = run("verify", "events", "--var", new)

    assert (moved.returncode, back.returncode) == (ExitCode.CLEAN, ExitCode.CLEAN), back.stderr
    assert judged.returncode == ExitCode.CLEAN, judged.stdout
    assert open_positions(new) == open_positions(old)
    assert (new / "runs").is_dir()
    with pytest.raises(PreflightFailed, match="must not run in two places"):
        anyio.run(_start, old)
    assert not Paths(var=new).moved.exists()


async def _life(var: Path) -> tuple[ExitCode, list[str]]:
    """A second of the runtime without an exchange; how it ended, and the alerts it raised."""
    nobody = "127.0.0.1:9"
    text = f"""
[venue]
rest_url = "http://{nobody}"
ws_url = "ws://{nobody}"
ws_api_url = "ws://{nobody}"
[panel]
port = 0
"""
    alerts: list[str] = []

    async def watch(running: Running) -> None:
        return

    launch = Launch(
        mode=Mode.SIM,
        paths=Paths(var=var),
        loaded=load_settings(text, path="none"),
        secrets=demo_secrets(),
        clock=SystemClock(),
        account_label="simulation",
        announce=lambda alert: alerts.append(alert.code),
        watch=watch,
        span_seconds=1,
    )
    return await run_launch(launch), alerts


async def _told(var: Path) -> list[tuple[str, str]]:
    """Reasons and data of the events that tell of a restore, oldest first."""
    return await ReadOnlyDatabase(Paths(var=var).database).rows(
        "SELECT reasons, data FROM audit_events WHERE reasons LIKE '%RESTORED_FROM_BACKUP%'"
    )


def test_the_start_after_an_older_backup_was_restored_tells_it_and_begins_in_pause(
    tmp_path: Path,
) -> None:
    old = tmp_path / "old"
    anyio.run(finished_run.told, old)
    backup = run("backup", "--to", tmp_path / "usb", "--var", old)
    anyio.run(_life, old)

    back = run("restore", tmp_path / "usb", "--var", old)
    code, alerts = anyio.run(_life, old)

    assert (backup.returncode, back.returncode) == (ExitCode.CLEAN, ExitCode.CLEAN), back.stderr
    assert "the next start begins in PAUSE (DB_ROLLBACK_DETECTED)" in back.stderr
    assert code == ExitCode.PAUSED
    assert "DB_ROLLBACK_DETECTED" in alerts
    ((reasons, data),) = anyio.run(_told, old)
    assert json.loads(reasons) == ["RESTORED_FROM_BACKUP", "DB_ROLLBACK_DETECTED"]
    told = json.loads(data)["restore"]
    assert told["source"] == str(tmp_path / "usb")
    assert told["replaced"]["event"] > told["restored"]["event"]
    assert not Paths(var=old).restored.exists()
    # Told once; the PAUSE itself waits for the operator over every further start.
    assert anyio.run(_life, old)[0] == ExitCode.PAUSED
    assert len(anyio.run(_told, old)) == 1


def test_the_start_after_a_move_tells_of_it_and_is_not_held(tmp_path: Path) -> None:
    old = tmp_path / "old"
    anyio.run(finished_run.told, old)
    run("backup", "--move", "--to", tmp_path / "usb", "--var", old)

    back = run("restore", tmp_path / "usb", "--var", tmp_path / "new")
    code, alerts = anyio.run(_life, tmp_path / "new")

    assert "PAUSE" not in back.stderr
    assert (code, "DB_ROLLBACK_DETECTED" in alerts) == (ExitCode.CLEAN, False)
    ((reasons, _),) = anyio.run(_told, tmp_path / "new")
    assert json.loads(reasons) == ["RESTORED_FROM_BACKUP"]


def test_a_changed_backup_is_refused_before_anything_is_replaced(old: Path, tmp_path: Path) -> None:
    run("backup", "--to", tmp_path / "usb", "--var", old)
    database = tmp_path / "usb" / "data" / "audit.sqlite"
    content = bytearray(database.read_bytes())
    content[5000] ^= 1
    database.write_bytes(content)
    before = Paths(var=old).database.read_bytes()

    refused = run("restore", tmp_path / "usb", "--var", old)

    assert refused.returncode == ExitCode.PREFLIGHT
    assert "data/audit.sqlite" in refused.stderr
    assert Paths(var=old).database.read_bytes() == before


def test_what_was_there_is_kept_aside(old: Path, tmp_path: Path) -> None:
    run("backup", "--to", tmp_path / "usb", "--var", old)
    manifest = json.loads((tmp_path / "usb" / "backup-manifest.json").read_text())

    done = run("restore", tmp_path / "usb", "--var", old)

    assert done.returncode == ExitCode.CLEAN, done.stderr
    (aside,) = old.glob("replaced-*")
    assert (aside / "data" / "audit.sqlite").is_file()
    assert "data/audit.sqlite" in manifest["files"]
    assert any(name.startswith("logs/audit-") for name in manifest["files"])


def damage(database: Path) -> None:
    """Spoil the page that names the applied migrations, which every command reads first."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'schema_migrations'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(database.read_bytes())
    content[(page - 1) * size : page * size] = b"?" * size
    database.write_bytes(content)


def test_the_copy_that_a_run_makes_each_day_takes_the_place_of_a_damaged_database(
    tmp_path: Path,
) -> None:
    anyio.run(finished_run.told, tmp_path)
    paths = Paths(var=tmp_path)
    copy = paths.backups / "audit-2026-03-04.sqlite"
    backup_database(paths.database, copy)
    trail = {path: path.read_bytes() for path in paths.logs.glob("audit-*")}
    damage(paths.database)

    hurt = run("explain", "SOLUSDT", "--var", tmp_path)
    doctor = run("doctor", "--offline", "--var", tmp_path)
    back = run("restore", copy, "--var", tmp_path)

    assert hurt.returncode == ExitCode.AUDIT_UNWRITABLE
    assert "is damaged" in hurt.stderr
    assert "DB_INTEGRITY_FAIL" in hurt.stderr
    assert f"next: livespot restore {copy} --var {tmp_path}" in doctor.stdout
    assert back.returncode == ExitCode.CLEAN, back.stderr
    (aside,) = tmp_path.glob("replaced-*")
    assert (aside / "data" / "audit.sqlite").is_file()
    assert anyio.run(verify_chain, ReadOnlyDatabase(paths.database)).broken is None
    assert {path: path.read_bytes() for path in paths.logs.glob("audit-*")} == trail


async def test_a_start_on_an_older_copy_knows_that_the_trail_goes_on(tmp_path: Path) -> None:
    await finished_run.told(tmp_path)
    paths, copy = Paths(var=tmp_path), tmp_path / "before.sqlite"
    migrate(copy, backup_dir=tmp_path, now_ms=0)

    unpack_database(copy, tmp_path, aside="replaced", at_ms=0)

    trail = JsonlTrail(RealDisk(), paths.logs, ReadOnlyDatabase(paths.database))
    assert (await trail.repair()).unknown > 0


@pytest.mark.parametrize("text", [b"", b"no database" * 1000], ids=["empty", "of another kind"])
def test_a_file_that_is_no_database_is_not_put_in_place(tmp_path: Path, text: bytes) -> None:
    place = tmp_path / "new"
    (tmp_path / "audit-2026-03-04.sqlite").write_bytes(text)

    refused = run("restore", tmp_path / "audit-2026-03-04.sqlite", "--var", place)

    assert refused.returncode == ExitCode.PREFLIGHT
    assert "nothing was changed" in refused.stderr
    assert "Next: " in refused.stderr
    assert not (place / "data").exists()


def test_a_directory_that_is_no_backup_leaves_no_trace(tmp_path: Path) -> None:
    refused = run("restore", tmp_path / "none", "--var", tmp_path / "new")

    assert refused.returncode == ExitCode.PREFLIGHT
    assert "Next: name a directory that livespot backup wrote" in refused.stderr
    assert not (tmp_path / "new").exists()


def test_a_gate_fails_on_a_database_whose_first_pages_are_damaged(tmp_path: Path) -> None:
    anyio.run(finished_run.told, tmp_path)
    damage(Paths(var=tmp_path).database)

    judged = run("verify", "events", "--var", tmp_path)

    assert judged.returncode == ExitCode.DIFFERENT, judged.stderr
    assert "FAIL" in judged.stdout
    assert "DATABASE_DAMAGED" in judged.stdout


def test_nothing_is_restored_or_moved_under_a_running_process(old: Path, tmp_path: Path) -> None:
    run("backup", "--to", tmp_path / "usb", "--var", old)
    with RealDisk().lock(Paths(var=old).lock, "a test"):
        restored = run("restore", tmp_path / "usb", "--var", old)
        moved = run("backup", "--move", "--to", tmp_path / "other", "--var", old)
        copied = run("backup", "--to", tmp_path / "third", "--var", old)

    assert restored.returncode == moved.returncode == ExitCode.SECOND_INSTANCE
    assert copied.returncode == ExitCode.CLEAN
    assert not Paths(var=old).moved.exists()


def test_compacting_gives_the_room_back_and_changes_no_record(tmp_path: Path) -> None:
    anyio.run(aged_run.told, tmp_path)
    paths = Paths(var=tmp_path)
    with closing(sqlite3.connect(paths.database, isolation_level=None)) as connection:
        connection.execute("DELETE FROM snapshots WHERE symbol GLOB 'S[0-2]USDT'")
        connection.execute("DELETE FROM health_samples")
    before = anyio.run(verify_chain, ReadOnlyDatabase(paths.database))

    done = run("backup", "--compact", "--to", tmp_path / "kept", "--var", tmp_path)

    after = anyio.run(verify_chain, ReadOnlyDatabase(paths.database))
    assert done.returncode == ExitCode.CLEAN, done.stderr
    assert (after.events, after.last_hash, after.broken) == (before.events, before.last_hash, None)
    now, was = (int(text) for text in re.findall(r"[0-9]+", done.stdout.splitlines()[0]))
    assert now == paths.database.stat().st_size < was
    with closing(sqlite3.connect(paths.database)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_compacting_waits_for_the_end_of_the_process(tmp_path: Path) -> None:
    anyio.run(finished_run.told, tmp_path)
    paths = Paths(var=tmp_path)
    with RealDisk().lock(paths.lock, "somebody"):
        refused = run("backup", "--compact", "--to", tmp_path / "kept", "--var", tmp_path)

    assert refused.returncode == ExitCode.SECOND_INSTANCE
    assert not (tmp_path / "kept").exists()
