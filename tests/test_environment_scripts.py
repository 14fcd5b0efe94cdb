"""Both scripts that make the environment know every kind of it, and start the program alike."""

import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
KINDS = {"run"} | {
    path.stem.removeprefix("requirements-") for path in SCRIPTS.glob("requirements-*.lock")
}
_REMOVED = re.compile(r"(?:^rm -f|^Remove-Item).*", re.MULTILINE)


@pytest.mark.parametrize("name", ["environment", "environment.ps1"])
def test_a_new_environment_forgets_the_stamp_of_every_kind(name: str) -> None:
    text = (SCRIPTS / name).read_text(encoding="utf-8")

    (removed,) = _REMOVED.findall(text)

    assert set(re.findall(r"\.livespot-(\w+)", removed)) == KINDS


@pytest.mark.parametrize("name", ["environment", "environment.ps1", "run.ps1", "live.ps1"])
def test_the_program_never_takes_a_module_from_the_working_directory(name: str) -> None:
    text = (SCRIPTS / name).read_text(encoding="utf-8")

    assert text.count("-m livespot_cmd.main") == text.count("-P -m livespot_cmd.main") > 0
