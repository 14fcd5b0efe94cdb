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
from livespot.store.chain import verify_chain
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
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
