"""`livespot` as a whole: what every command owes whoever calls it."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from livespot.contracts.errors import ExitCode
from livespot_cmd.main import livespot


def _leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(name, command)]
    context = click.Context(command)
    found: list[tuple[str, click.Command]] = [(name, command)] if name else []
    for sub in command.list_commands(context):
        inner = command.get_command(context, sub)
        if inner is not None:
            found += _leaves(inner, f"{name} {sub}".strip())
    return found


@pytest.mark.parametrize(("name", "command"), _leaves(livespot, ""))
def test_every_command_shows_an_example_and_explains_its_options(
    name: str, command: click.Command
) -> None:
    assert f"Example: livespot {name}" in (command.epilog or "")
    assert command.help
    if " " not in name:
        assert "Exit codes:" in (command.epilog or "")


@pytest.mark.parametrize(
    ("name", "command"), [(n, c) for n, c in _leaves(livespot, "") if isinstance(c, click.Group)]
)
def test_a_groups_list_tells_each_command_in_a_whole_sentence(
    name: str, command: click.Group
) -> None:
    told = command.get_help(click.Context(command, info_name=name, terminal_width=80))

    assert "Commands:" in told
    assert "..." not in told.split("Commands:")[1].split("Example:")[0]


def test_the_program_and_the_readme_name_every_exit_code() -> None:
    numbers = {str(code.value) for code in ExitCode}
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")

    assert numbers <= set(re.findall(r"[0-9]+", (livespot.epilog or "").split("Exit codes:")[1]))
    assert numbers <= set(re.findall(r"^\| ([0-9]+) \|", readme, re.MULTILINE))


@pytest.mark.parametrize("name", ["live", "shadow", "sim", "soak"])
def test_a_run_names_every_way_it_can_end(name: str) -> None:
    command = livespot.get_command(click.Context(livespot), name)

    assert command is not None
    told = (command.epilog or "").split("Exit codes:")[1]
    assert {"0", "2", "3", "5", "10", "20", "30"} <= set(re.findall(r"[0-9]+", told))


@pytest.mark.parametrize("command", ["sim", "pause"])
def test_a_directory_that_cannot_exist_is_a_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", command, "--var", tmp_path / "file" / "var"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert run.returncode == ExitCode.PREFLIGHT
    assert "Traceback" not in run.stderr
    assert str(tmp_path / "file") in run.stderr


def test_a_refusal_with_a_code_names_it(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("[risk]\nno_such_key = 1\n", encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", "config", "check", "--config", config],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert run.returncode == ExitCode.USAGE
    assert "no_such_key" in run.stderr
    assert "Code STRAT_CONFIG_INVALID; see: livespot explain STRAT_CONFIG_INVALID" in run.stderr


def test_an_exchange_whose_journal_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = ("--journal", tmp_path / "file" / "journal")

    run = subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", "exchange", "--port", "0", *place],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert run.returncode == ExitCode.PREFLIGHT
    assert "Traceback" not in run.stderr
    assert str(tmp_path / "file") in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits there")
def test_what_a_command_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    journal, state = tmp_path / "new" / "journal", tmp_path / "new" / "state"
    place = ("--journal", journal, "--state-file", state)

    subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", "exchange", "--port", "0", *place, "--for=1ms"],
        check=True,
        timeout=30,
        stdout=subprocess.DEVNULL,
    )

    assert journal.stat().st_mode & 0o077 == 0
    assert journal.parent.stat().st_mode & 0o077 == 0
