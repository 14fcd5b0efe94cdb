"""`livespot doctor` as an operator meets it."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from click.testing import CliRunner, Result

from livespot.contracts.errors import ExitCode
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET
from livespot.testing.doctor_plans import config_text, installation
from livespot_cmd.doctor import doctor

KEYS = {"BINANCE_API_KEY": DEMO_KEY, "BINANCE_API_SECRET": DEMO_SECRET, "OPENAI_API_KEY": ""}
NO_KEYS = dict.fromkeys(KEYS, "")


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(
        doctor, arguments, env=NO_KEYS if env is None else env, standalone_mode=False
    )


def prepared(tmp_path: Path, place: str) -> list[str]:
    paths = installation(tmp_path / "var")
    paths.config.write_text(config_text(place))
    return ["--var", str(paths.var)]


def test_in_front_of_an_exchange_it_ends_green(tmp_path: Path, exchange_place: str) -> None:
    result = run(*prepared(tmp_path, exchange_place), env=KEYS)

    assert result.return_value == ExitCode.CLEAN, result.output
    assert " 0 FAIL" in result.stdout
    assert DEMO_SECRET not in result.output
    assert DEMO_KEY not in result.output


def test_machine_output_is_one_document(tmp_path: Path, exchange_place: str) -> None:
    result = run(*prepared(tmp_path, exchange_place), "--json", env=KEYS)

    whole = json.loads(result.stdout)
    assert whole["summary"]["failed"] == 0
    assert {row["outcome"] for row in whole["checks"]} <= {"PASS", "WARN"}
    assert all(row["id"] and row["title"] and row["measured"] for row in whole["checks"])


def test_offline_it_needs_neither_keys_nor_network(tmp_path: Path) -> None:
    result = run(*prepared(tmp_path, "127.0.0.1:9"), "--offline")

    assert result.return_value == ExitCode.CLEAN, result.output
    assert "REST" not in result.stdout


def test_a_missing_database_ends_with_the_one_next_command(tmp_path: Path) -> None:
    arguments = prepared(tmp_path, "127.0.0.1:9")
    (tmp_path / "var" / "data" / "audit.sqlite").unlink()

    result = run(*arguments, "--offline")

    last = result.stdout.splitlines()[-1]
    assert result.return_value == ExitCode.PREFLIGHT
    assert last.startswith(f"Next: livespot migrate --db {tmp_path}/var/data/audit.sqlite")


def test_an_unreachable_exchange_is_a_red_doctor_and_no_traceback(tmp_path: Path) -> None:
    result = run(*prepared(tmp_path, "127.0.0.1:9"), env=KEYS)

    assert result.return_value == ExitCode.PREFLIGHT
    assert "FAIL  REST" in result.stdout
    assert "Traceback" not in result.output


def test_a_broken_configuration_is_told_with_its_line(tmp_path: Path) -> None:
    arguments = prepared(tmp_path, "127.0.0.1:9")
    config = tmp_path / "var" / "livespot.toml"
    config.write_text("[risk]\nper_trad = 5\n[panel]\nport = -1\n")

    result = run(*arguments, "--offline")

    assert result.return_value == ExitCode.PREFLIGHT
    assert f"{config}:2" in result.stdout
    assert f"{config}:4" in result.stdout
    assert f"Next: livespot config check --config {config}" in result.stdout


def test_a_file_of_secrets_others_can_read_is_refused(tmp_path: Path) -> None:
    arguments = prepared(tmp_path, "127.0.0.1:9")
    (tmp_path / ".env").write_text("BINANCE_API_KEY=x\n")
    (tmp_path / ".env").chmod(0o644)

    result = run(*arguments, "--offline")

    assert result.return_value == ExitCode.PREFLIGHT
    assert "chmod 600" in result.stdout


def test_on_a_terminal_it_is_a_table_and_commands_stay_whole(tmp_path: Path) -> None:
    arguments = prepared(tmp_path, "127.0.0.1:9")
    (tmp_path / "var" / "data" / "audit.sqlite").unlink()
    ours, theirs = pty.openpty()

    with open(ours, "rb") as terminal:
        code = subprocess.run(
            [sys.executable, "-m", "livespot_cmd.main", "doctor", "--offline", *arguments],
            env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "60"},
            stdout=theirs,
            check=False,
        ).returncode
        os.close(theirs)
        shown = all_of(terminal.fileno())

    assert code == ExitCode.PREFLIGHT
    assert "Measured" in shown
    assert f"next: livespot migrate --db {tmp_path}/var/data/audit.sqlite\r\n" in shown


def all_of(terminal: int) -> str:
    """Everything written before the other end was closed, which Linux reports as an error."""
    whole = b""
    with suppress(OSError):
        while piece := os.read(terminal, 65_536):
            whole += piece
    return whole.decode()


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(doctor, ["--help"])

    assert "Example: livespot doctor" in result.output
