"""The shape of the repository, as the design card fixes it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "cmd",
    "internal",
    "var",
    "prompts",
    "scripts",
    "tests",
    "docs",
}
PURE = ("contracts", "rules")
IMPURE_MODULES = {
    "anyio",
    "asyncio",
    "httpx",
    "websockets",
    "aiosqlite",
    "sqlite3",
    "structlog",
    "random",
    "secrets",
    "uuid",
    "time",
    "os",
    "socket",
    "threading",
    "pathlib",
    "subprocess",
}


def test_top_level_entries_are_exactly_the_design_card() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert found == TOP_LEVEL


def test_cmd_directory_is_not_a_package() -> None:
    """`cmd/__init__.py` would shadow the stdlib `cmd` that pdb imports."""
    visible = {
        root: {path.name for path in (ROOT / root).iterdir() if path.name != "__pycache__"}
        for root in ("cmd", "internal")
    }

    assert visible == {"cmd": {"livespot_cmd"}, "internal": {"livespot"}}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_nothing_that_does_io(package: str) -> None:
    offenders = {
        f"{path.name}: {name}"
        for path in (ROOT / "internal" / "livespot" / package).rglob("*.py")
        for name in _imports(path)
        if name.split(".")[0] in IMPURE_MODULES
    }

    assert offenders == set()


def test_no_module_decides_by_run_mode_outside_the_composition_root() -> None:
    pattern = re.compile(r"\bif\b[^\n]*\bmode\b[^\n]*\bMode\.(LIVE|SHADOW|SIM|REPLAY)\b")
    offenders = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "internal" / "livespot").rglob("*.py")
        if path.name != "system.py" and pattern.search(path.read_text(encoding="utf-8"))
    }

    assert offenders == set()


def test_lock_files_hold_hashes_and_no_address() -> None:
    for path in (ROOT / "scripts").glob("*.lock"):
        text = path.read_text(encoding="utf-8")

        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text


def test_no_source_file_is_longer_than_five_hundred_lines() -> None:
    long = {
        str(path.relative_to(ROOT))
        for root in ("internal", "cmd")
        for path in (ROOT / root).rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 500
    }

    assert long == set()


def test_no_statement_numbers_its_placeholders() -> None:
    """`?1` bound by position is an error from Python 3.14 on; older versions let it pass."""
    numbered = re.compile(r"(?<![\w/])\?\d")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for root in ("internal", "tests", "cmd")
        for path in sorted((ROOT / root).rglob("*.py"))
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if numbered.search(line)
    ]

    assert found == []
