"""The unit for systemd and the container recipe keep to what the program does."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import click
import msgspec
import pytest

from livespot.contracts.errors import ExitCode
from livespot.contracts.settings import ExitSettings, HealthSettings, PanelSettings
from livespot.runtime import system
from livespot.testing import ledger_rows, panel_states, panel_story
from livespot.testing.panel_states import Scene
from livespot_cmd.main import livespot

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "scripts" / "deploy" / "livespot.service"
RECIPE = ROOT / "scripts" / "deploy" / "Containerfile"
PAGE = ROOT / "docs" / "deployment.md"


def _unit() -> dict[str, list[str]]:
    """Every setting with its values, in order; comments left out."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def _one(name: str) -> str:
    (value,) = _unit()[name]
    return value


def _recipe() -> list[tuple[str, str]]:
    """Instruction and rest of each line, continued ones joined."""
    lines = RECIPE.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(name, rest) for name, rest in pairs]


def test_it_is_started_again_after_a_crash_and_never_where_a_person_must_look() -> None:
    prevented = {int(code) for code in _one("RestartPreventExitStatus").split()}

    assert _one("Restart") == "on-failure"
    assert prevented == set(ExitCode) - {ExitCode.CLEAN, ExitCode.DIFFERENT, ExitCode.WATCHDOG}


def test_the_programs_own_watchdog_bites_before_the_managers() -> None:
    assert int(_one("WatchdogSec")) * 1000 > HealthSettings().watchdog_kill_ms
    assert _one("Type") == "notify"


def test_the_manager_waits_longer_than_the_longest_ordered_end() -> None:
    protecting = ExitSettings().recovery_deadline_ms / 1000
    longest = system._STOP_SECONDS + protecting + 2 * system._SLACK_SECONDS

    assert int(_one("TimeoutStopSec")) >= 2 * (longest + system._GOODBYE_SECONDS)


def test_only_the_state_directory_can_be_written() -> None:
    assert _one("ProtectSystem") == "strict"
    assert _one("ReadWritePaths") == "/opt/livespot/var"
    assert _one("NoNewPrivileges") == "true"
    assert _one("UMask") == "0077"
    assert _one("CapabilityBoundingSet") == ""
    assert _one("User") not in ("", "root")


def test_the_unit_starts_a_command_there_is() -> None:
    program, name, *options = shlex.split(_one("ExecStart"))
    command = livespot.get_command(click.Context(livespot), name)

    assert program.endswith("/.venv/bin/livespot")
    assert command is not None
    command.make_context(name, options)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "livespot"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    there = UNIT.read_text(encoding="utf-8").replace(
        "/opt/livespot/.venv/bin/livespot", str(program)
    )
    copy = tmp_path / "livespot.service"
    # The pages and the account exist on the machine it is meant for, not on this one.
    copy.write_text(re.sub(r"(?m)^(Documentation|User|Group)=.*\n", "", there), encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert [line for line in done.stderr.splitlines() if "livespot" in line] == []
    assert done.returncode == 0, done.stderr


def test_the_container_runs_as_nobody_in_particular_and_opens_no_port() -> None:
    last_stage = _recipe()[max(i for i, (name, _) in enumerate(_recipe()) if name == "FROM") :]
    (user,) = [rest for name, rest in last_stage if name == "USER"]

    assert user.split(":")[0] not in ("0", "root")
    assert "EXPOSE" not in {name for name, _ in _recipe()}
    assert [rest for name, rest in _recipe() if name == "VOLUME"] == ['["/opt/livespot/var"]']


def test_the_container_takes_only_what_there_is() -> None:
    copied = [
        word
        for name, rest in _recipe()
        if name == "COPY" and not rest.startswith("--from")
        for word in rest.split()[:-1]
    ]
    let_in = (RECIPE.parent / "Containerfile.dockerignore").read_text(encoding="utf-8")

    assert [word for word in copied if not (ROOT / word).exists()] == []
    assert {"var", ".env", ".git"}.isdisjoint(copied)
    assert [
        word
        for word in copied
        if f"!{word}\n" not in let_in
        and not (word.endswith(".lock") and "!scripts/*.lock" in let_in)
    ] == []


def test_the_container_starts_a_command_there_is() -> None:
    (default,) = [rest for name, rest in _recipe() if name == "CMD"]
    name, *options = re.findall(r'"([^"]+)"', default)
    command = livespot.get_command(click.Context(livespot), name)

    assert command is not None
    command.make_context(name, options)


@pytest.mark.parametrize(("state", "healthy"), [("normal", True), ("first boot", False)])
async def test_the_container_is_healthy_as_long_as_the_panel_says_so(
    tmp_path: Path, state: str, healthy: bool
) -> None:
    (check,) = [rest for name, rest in _recipe() if name == "HEALTHCHECK"]
    python, option, code = msgspec.json.decode(check.partition("CMD")[2])
    path = ledger_rows.fresh(tmp_path)
    if state == "normal":
        await panel_story.told(path)

    async with panel_states.served(Scene(database=path, now_ms=panel_story.NOW_MS)) as url:
        here = code.replace("http://127.0.0.1:8787/", url.removesuffix("dashboard"))
        done = await anyio.run_process([sys.executable, option, here], check=False)

    assert f":{PanelSettings().port}/healthz" in code
    assert python == "/opt/livespot/.venv/bin/python"
    assert (done.returncode == 0) is healthy


def test_every_documented_container_run_is_read_only_and_publishes_nothing() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    runs = re.findall(r"^\s*podman run .*$", page, re.MULTILINE)

    assert runs
    for run in runs:
        words = shlex.split(run)
        assert "--read-only" in words
        assert "--cap-drop=ALL" in words
        assert not {"-p", "-P", "--publish", "--publish-all", "--privileged"} & set(words)
        assert [w for w in words if w.startswith("livespot-var:")] == [
            "livespot-var:/opt/livespot/var"
        ]
