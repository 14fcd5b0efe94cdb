"""The doctor on a real state directory, with real files, locks and sockets."""

import dataclasses
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.secret import Secret
from livespot.rules.doctor import Check, Outcome
from livespot.runtime.clock import SystemClock
from livespot.runtime.doctor import examine
from livespot.runtime.doctor_plan import DoctorPlan, Need
from livespot.runtime.environment import Secrets
from livespot.store.migrate import migrate
from livespot.store.schema import packaged_migrations
from livespot.testing.doctor_plans import START_MS, doctor_plan, pass_drills, secrets_of

LOCAL = frozenset({Need.LOCAL})


async def local_rows(plan: DoctorPlan) -> dict[str, Check]:
    return {row.id: row for row in await examine(dataclasses.replace(plan, needs=LOCAL))}


def failures(rows: dict[str, Check]) -> set[str]:
    return {name for name, row in rows.items() if row.outcome is Outcome.FAIL}


def names_below(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*")}


def run_in_shell(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True)


@contextmanager
def held_by_another_process(lock: Path) -> Iterator[None]:
    hold = (
        "import sys, pathlib; from livespot.runtime.disk import RealDisk\n"
        "with RealDisk().lock(pathlib.Path(sys.argv[1]), 'run_other'):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.kill()


async def test_a_fresh_installation_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        before = names_below(tmp_path)
        rows = await local_rows(plan)

    assert failures(rows) == set()
    assert rows["python"].outcome is Outcome.PASS
    assert rows["dependencies"].outcome is Outcome.PASS
    assert rows["schema"].measured == f"schema {len(packaged_migrations())}"
    assert "WAL" in rows["integrity"].measured
    assert names_below(tmp_path) - before <= {"audit.sqlite-wal", "audit.sqlite-shm"}


async def test_a_missing_database_asks_for_the_exact_migration(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        plan.paths.database.unlink()
        rows = await local_rows(plan)

    assert failures(rows) == {"schema", "integrity", "intents"}
    assert rows["schema"].next_command == f"livespot migrate --db {plan.paths.database}"


async def test_an_older_database_asks_for_the_exact_migration(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        plan.paths.database.unlink()
        first = packaged_migrations()[:1]
        migrate(plan.paths.database, backup_dir=plan.paths.backups, now_ms=0, migrations=first)
        rows = await local_rows(plan)

    assert rows["schema"].outcome is Outcome.FAIL
    assert rows["schema"].measured.startswith("schema 1 of ")
    assert rows["schema"].next_command == f"livespot migrate --db {plan.paths.database}"


async def test_a_newer_database_is_told_from_an_older_one(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        with closing(sqlite3.connect(plan.paths.database, isolation_level=None)) as connection:
            connection.execute("INSERT INTO schema_migrations VALUES (99, 'future', 'x', 0)")
            count = len(packaged_migrations()) + 1
            connection.execute(f"PRAGMA user_version = {count}")
        rows = await local_rows(plan)

    assert rows["schema"].measured == "does not fit this program"
    assert "newer livespot" in rows["schema"].detail


async def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        whole = bytearray(plan.paths.database.read_bytes())
        whole[8192:12288] = b"\x00" * 4096
        plan.paths.database.write_bytes(bytes(whole))
        rows = await local_rows(plan)

    assert rows["integrity"].outcome is Outcome.FAIL
    assert rows["integrity"].next_command.startswith("ls -lt ")


async def test_a_file_that_is_no_database_is_found(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        plan.paths.database.write_text("not a database, not a database, not a database")
        rows = await local_rows(plan)

    assert {"schema", "integrity", "intents"} <= failures(rows)


async def test_a_database_without_write_ahead_log_is_found(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        with closing(sqlite3.connect(plan.paths.database)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        rows = await local_rows(plan)

    assert rows["integrity"].measured == "journal mode delete"
    assert "journal_mode = WAL" in rows["integrity"].next_command


async def test_a_busy_panel_port_is_found(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            panel = msgspec.structs.replace(plan.settings.panel, port=port)
            settings = msgspec.structs.replace(plan.settings, panel=panel)
            loaded = dataclasses.replace(plan.loaded, settings=settings)
            rows = await local_rows(dataclasses.replace(plan, loaded=loaded))
            ignored = await local_rows(dataclasses.replace(plan, loaded=loaded, check_port=False))
            with held_by_another_process(plan.paths.lock):
                beside = await local_rows(dataclasses.replace(plan, loaded=loaded))

    assert beside["panel_port"].outcome is Outcome.WARN
    assert "the livespot that runs here" in beside["panel_port"].detail
    assert failures(rows) == {"panel_port"}
    assert rows["panel_port"].next_command == f"ss -ltnp 'sport = :{port}'"
    assert "panel_port" not in ignored


async def test_a_second_instance_is_found_in_another_process(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        with held_by_another_process(plan.paths.lock):
            rows = await local_rows(plan)
        after = await local_rows(plan)

    assert failures(rows) == {"instance"}
    assert rows["instance"].next_command == f"livespot status --var {plan.paths.var}"
    assert failures(after) == set()


async def test_a_stop_file_is_a_failure_with_its_removal(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        plan.paths.stop_file.write_text("the key leaked\n")
        rows = await local_rows(plan)

    assert failures(rows) == {"stop_file"}
    assert rows["stop_file"].measured == "present: the key leaked"
    assert rows["stop_file"].next_command == f"rm {plan.paths.stop_file}"


async def test_missing_prompts_are_found(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        rows = await local_rows(dataclasses.replace(plan, prompts=tmp_path / "nowhere"))

    assert failures(rows) == {"prompts"}
    assert "nowhere" in rows["prompts"].detail


async def test_a_control_directory_open_to_others_is_a_failure(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        plan.paths.control.mkdir(mode=0o755)
        plan.paths.control.chmod(0o755)
        rows = await local_rows(plan)

    assert failures(rows) == {"directories"}
    assert "command the runtime" in rows["directories"].detail


async def test_a_file_in_the_place_of_a_directory_is_a_failure(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        plan.paths.logs.write_text("")
        rows = await local_rows(plan)

    assert failures(rows) == {"directories", "jsonl"}


async def test_secrets_are_needed_only_by_who_asks_for_the_account(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var", secrets=secrets_of("", "")) as plan:
        offline = await local_rows(plan)
        account = frozenset({Need.LOCAL, Need.ACCOUNT})
        online = {r.id: r for r in await examine(dataclasses.replace(plan, needs=account))}

    assert offline["secrets"].outcome is Outcome.WARN
    assert online["secrets"].outcome is Outcome.FAIL
    assert "BINANCE_API_KEY is not set" in online["secrets"].detail


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("short", id="short"),
        pytest.param('"' + "a" * 62 + '"', id="quoted"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nnonsense", id="broken-pem"),
    ],
)
async def test_a_malformed_secret_is_a_failure_and_is_not_shown(
    tmp_path: Path, secret: str
) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        malformed = Secrets(
            binance_api_key=plan.secrets.binance_api_key,
            binance_api_secret=Secret(secret),
            openai_api_key=Secret(""),
        )
        rows = await local_rows(dataclasses.replace(plan, secrets=malformed))

    assert failures(rows) == {"secrets"}
    assert "nonsense" not in rows["secrets"].detail
    assert "aaaa" not in rows["secrets"].detail


async def test_the_live_lock_is_judged_as_a_live_start_would(tmp_path: Path) -> None:
    more = '[live]\naccount_label = "main"\n'
    async with doctor_plan(tmp_path / "var", more=more) as plan:
        locked = await local_rows(plan)
        stamp = datetime.fromtimestamp(START_MS // 1000, UTC).isoformat()
        plan.paths.live_ok.write_text(f'account = "main"\ndate = {stamp}\n')
        opened = await local_rows(plan)
        unasked = await local_rows(dataclasses.replace(plan, check_live_lock=False))

    assert "live_lock" not in unasked
    assert locked["live_lock"].outcome is Outcome.WARN
    assert locked["live_lock"].next_command.endswith(f"> {plan.paths.live_ok}")
    assert opened["live_lock"].measured == "open for main"


async def test_crash_drills_are_wanted_of_this_version_and_these_settings(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        never = await local_rows(plan)
        pass_drills(plan.paths, config_hash="f" * 64)
        elsewise = await local_rows(plan)
        for record in plan.paths.drills.iterdir():
            record.unlink()
        pass_drills(plan.paths, config_hash=plan.loaded.config_hash)
        passed = await local_rows(plan)
        unasked = await local_rows(dataclasses.replace(plan, check_live_lock=False))

    assert "drills" not in unasked
    assert never["drills"].outcome is Outcome.WARN
    assert never["drills"].next_command == (
        f"livespot drill all --var {plan.paths.var} --config test.toml"
    )
    assert elsewise["drills"].detail == "they were passed with other settings"
    assert passed["drills"].outcome is Outcome.PASS
    assert passed["drills"].next_command == ""


async def test_the_command_that_opens_the_live_lock_opens_it(tmp_path: Path) -> None:
    more = '[live]\naccount_label = "main"\n'
    async with doctor_plan(tmp_path / "var", more=more) as plan:
        today = dataclasses.replace(plan, clock=SystemClock())
        command = (await local_rows(today))["live_lock"].next_command
        run_in_shell(command)
        rows = await local_rows(today)

    assert rows["live_lock"].measured == "open for main"


async def test_settings_that_change_nothing_are_pointed_at(tmp_path: Path) -> None:
    more = "ai_dec = 1\n[live]\nrequire_ok_file = false\n"
    async with doctor_plan(tmp_path / "var", more=more) as plan:
        rows = await local_rows(plan)

    assert rows["config"].outcome is Outcome.WARN
    assert "live trading needs 2" in rows["config"].detail
    assert "changes nothing" in rows["config"].detail


async def test_little_room_is_judged_as_the_runtime_would(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        free = plan.disk.free_bytes(tmp_path)
        health = msgspec.structs.replace(
            plan.settings.health,
            disk_free_pause_bytes=free * 2,
            disk_free_degrade_bytes=free * 3,
        )
        settings = msgspec.structs.replace(plan.settings, health=health)
        loaded = dataclasses.replace(plan.loaded, settings=settings)
        rows = await local_rows(dataclasses.replace(plan, loaded=loaded))

    assert failures(rows) == {"disk"}
