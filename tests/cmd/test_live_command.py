"""`livespot live`: nothing leaves the machine before every lock is open."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import msgspec
import pytest
from click.testing import CliRunner

from livespot.contracts.errors import ExitCode
from livespot.contracts.records import RunStarted
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import Mode
from livespot.runtime.clock import SystemClock
from livespot.runtime.config import load_settings
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.store.connection import Database
from livespot.testing.doctor_plans import config_text, installation, pass_drills, secrets_of
from livespot_cmd.live import Asked, LiveStart, prepare

# Ends the child with a code of its own at the first attempt to reach anybody.
GUARDED = """
import os, sys
def guard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        os.write(2, b"NETWORK " + event.encode())
        os._exit(99)
sys.addaudithook(guard)
from livespot_cmd.main import main
sys.exit(main())
"""
NO_SECRETS = {"BINANCE_API_KEY": "", "BINANCE_API_SECRET": "", "OPENAI_API_KEY": ""}
SECRETS = {"BINANCE_API_KEY": "k" * 64, "BINANCE_API_SECRET": "s" * 64, "OPENAI_API_KEY": "o" * 40}
LABELLED = '[live]\naccount_label = "main"\n'
YES = Asked(flag=True, confirm="main", interactive=False)


def guarded(
    var: Path, *arguments: str, secrets: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", GUARDED, "live", "--var", str(var), *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "error", **secrets},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def unlocked(tmp_path: Path, place: str, *, age_hours: int = 0, gate: str = "") -> Paths:
    """Everything a start needs; the lock file is as old as said."""
    paths = installation(tmp_path / "var")
    paths.config.write_text(config_text(place, more=gate + LABELLED))
    moment = datetime.fromtimestamp(SystemClock().now_ms() // 1000 - 3600 * age_hours, UTC)
    paths.live_ok.write_text(f'account = "main"\ndate = {moment.isoformat()}\n')
    pass_drills(paths)
    return paths


def leave_unfinished_run(paths: Paths) -> None:
    """As a live run that was killed leaves the database."""
    run_id = "run_20210420_114700_abcdef"
    born = RunStarted(
        run_id=run_id,
        mode=Mode.LIVE,
        started_at_ms=1,
        config_hash="c" * 64,
        config_json="{}",
        prompt_hash="",
        version="0",
        platform="",
        account_label="main",
        previous_run_id="",
    )

    async def write() -> None:
        database = await Database.open(paths.database, run_id=run_id, redactor=Redactor(()))
        await database.transaction([born])
        await database.close()

    anyio.run(write)


def started(paths: Paths, asked: Asked = YES) -> LiveStart | int:
    loaded = load_settings(paths.config.read_text(), path=str(paths.config))
    return prepare(paths, loaded, secrets_of(), asked)


def test_every_missing_lock_is_named_at_once_without_a_network_call(tmp_path: Path) -> None:
    done = guarded(tmp_path / "var", secrets=NO_SECRETS)

    assert done.returncode == ExitCode.LOCK_MISSING, done.stderr
    for said in (
        f"livespot live --var {tmp_path / 'var'} --live",
        "BINANCE_API_KEY is not set",
        "BINANCE_API_SECRET is not set",
        "OPENAI_API_KEY is not set",
        "no account is named",
        "the lock file is missing",
        "livespot migrate",
        "Code LIVE_LOCK_MISSING; see: livespot explain LIVE_LOCK_MISSING",
    ):
        assert said in done.stderr
    assert "NETWORK" not in done.stderr
    assert "Traceback" not in done.stderr


def test_with_flag_and_secrets_a_missing_lock_file_still_makes_no_network_call(
    tmp_path: Path,
) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9")
    paths.live_ok.unlink()

    done = guarded(paths.var, "--live", "--confirm", "main", secrets=SECRETS)

    assert done.returncode == ExitCode.LOCK_MISSING
    assert done.stderr.count("  - ") == 1
    assert "the lock file is missing" in done.stderr


def test_an_unready_installation_is_refused_without_a_network_call(tmp_path: Path) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9")
    paths.stop_file.write_text("")
    paths.database.unlink()

    done = guarded(paths.var, "--live", "--confirm", "main", secrets=SECRETS)

    assert done.returncode == ExitCode.PREFLIGHT
    assert "STOP file exists" in done.stderr
    assert f"livespot migrate --db {paths.database}" in done.stderr


def test_the_guard_itself_works(tmp_path: Path) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9")

    done = guarded(paths.var, "--live", "--confirm", "main", secrets=SECRETS)

    assert done.returncode == 99
    assert "NETWORK socket.connect" in done.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(flag=True, confirm=None, interactive=False), "add --confirm main"),
        (Asked(flag=True, confirm="other", interactive=True), "names another account"),
    ],
)
def test_without_the_operators_word_it_stays_locked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: Asked, said: str
) -> None:
    assert started(unlocked(tmp_path, "127.0.0.1:9"), asked) == ExitCode.LOCK_MISSING
    assert said in capsys.readouterr().err


def test_a_second_instance_has_its_own_code(tmp_path: Path) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9")

    with RealDisk().lock(paths.lock, "run_other"):
        assert started(paths) == ExitCode.SECOND_INSTANCE


def test_without_a_pass_of_the_crash_drills_it_is_not_ready_and_says_how_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9")
    for record in paths.drills.iterdir():
        record.unlink()

    assert started(paths) == ExitCode.PREFLIGHT
    assert f"never run here; run: livespot drill all --var {paths.var}" in capsys.readouterr().err


def test_drills_passed_by_another_version_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9")
    for record in paths.drills.iterdir():
        record.unlink()
    pass_drills(paths, version="0.0.9")

    assert started(paths) == ExitCode.PREFLIGHT
    assert "0.0.9" in capsys.readouterr().err


def test_a_lower_gate_is_not_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9", gate="ai_dec = 1\n")

    assert started(paths) == ExitCode.PREFLIGHT
    assert "ai_dec is 1" in capsys.readouterr().err


def test_a_red_doctor_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert started(unlocked(tmp_path, "127.0.0.1:9")) == ExitCode.PREFLIGHT
    assert "FAIL  REST" in capsys.readouterr().out


def test_with_every_lock_open_and_a_green_doctor_it_may_start(
    tmp_path: Path, exchange_place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = started(unlocked(tmp_path, exchange_place))

    assert isinstance(start, LiveStart)
    assert start.account_label == "main"
    assert start.manage_only == ()
    (passed,) = start.proven
    assert passed.startswith("crash drills passed (drills/")
    assert "at most 25 USDT an order" in capsys.readouterr().out


@pytest.mark.parametrize(("typed", "starts"), [("main\n", True), ("mine\n", False)])
def test_somebody_at_the_terminal_types_the_label(
    tmp_path: Path, exchange_place: str, typed: str, starts: bool
) -> None:
    paths = unlocked(tmp_path, exchange_place)

    with CliRunner().isolation(input=typed):
        start = started(paths, Asked(flag=True, confirm=None, interactive=True))

    assert isinstance(start, LiveStart) is starts
    assert starts or start == ExitCode.LOCK_MISSING


def test_an_unfinished_live_run_is_taken_up_to_manage_only_whatever_the_doctor_says(
    tmp_path: Path,
) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9", age_hours=48)
    assert started(paths) == ExitCode.LOCK_MISSING
    leave_unfinished_run(paths)
    for record in paths.drills.iterdir():
        record.unlink()

    start = started(paths)

    assert isinstance(start, LiveStart)
    assert start.proven == ()
    assert any("livespot drill all" in reason for reason in start.manage_only)
    assert any("48 h old" in reason for reason in start.manage_only)
    assert any("REST" in reason for reason in start.manage_only)


def test_an_unfinished_run_in_a_damaged_database_is_not_taken_up(tmp_path: Path) -> None:
    paths = unlocked(tmp_path, "127.0.0.1:9")
    leave_unfinished_run(paths)
    paths.database.write_bytes(b"no database at all" * 100)

    assert started(paths) == ExitCode.PREFLIGHT


def test_settings_survive_the_preparation_unchanged(tmp_path: Path, exchange_place: str) -> None:
    paths = unlocked(tmp_path, exchange_place)
    loaded = load_settings(paths.config.read_text(), path=str(paths.config))

    start = prepare(paths, loaded, secrets_of(), YES)

    assert isinstance(start, LiveStart)
    assert msgspec.json.encode(start.loaded.settings) == msgspec.json.encode(loaded.settings)
