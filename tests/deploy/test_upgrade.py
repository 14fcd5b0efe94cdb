"""Upgrade and rollback are one command each, and neither loses anything."""

import hashlib
import shlex
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
_MIGRATIONS = Path("internal/livespot/store/migrations")
_PARTS = ("cmd", "internal", "prompts", "scripts", "pyproject.toml", "README.md", ".gitignore")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for a POSIX shell"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A checkout of its own with an environment of its own, and a state directory in it."""

    top: Path

    @property
    def paths(self) -> Paths:
        return Paths(var=self.top / "var")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.top, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.top, capture_output=True, text=True, timeout=100, check=False
        )

    def commit(self, what: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", what)
        return self.git("rev-parse", "HEAD")

    def version(self) -> str:
        return self.call(".venv/bin/livespot", "--version").stdout.strip().rpartition(" ")[2]

    def tables(self) -> set[str]:
        with closing(sqlite3.connect(self.paths.database)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}

    def run_happened(self, run_id: str) -> None:
        """A run on record, in the columns that cannot be empty."""
        with closing(sqlite3.connect(self.paths.database)) as connection, connection:
            columns = [
                (name, kind)
                for _, name, kind, required, default, _ in connection.execute(
                    "PRAGMA table_info(runs)"
                )
                if required and default is None
            ]
            given: dict[str, str | int] = {"run_id": run_id, "mode": "SIM", "config_json": "{}"}
            values = [given.get(name, "" if kind == "TEXT" else 1) for name, kind in columns]
            names = ", ".join(name for name, _ in columns)
            marks = ", ".join("?" for _ in columns)
            connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", values)  # noqa: S608


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Version 1.0.0 in use, `next` (1.1.0) with one more table, `patch` (1.0.1) without."""
    here = Place(top=tmp_path / "live spot")
    here.top.mkdir()
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(
                source, here.top / part, ignore=shutil.ignore_patterns("__pycache__", "data")
            )
        else:
            shutil.copyfile(source, here.top / part)
    _environment(here.top)
    here.git("init", "--quiet", "--initial-branch=trunk")
    _say_version(here.top, "1.0.0")
    here.commit("one")
    here.git("checkout", "--quiet", "-b", "patch")
    _say_version(here.top, "1.0.1")
    here.commit("patch")
    here.git("checkout", "--quiet", "-b", "next", "trunk")
    _say_version(here.top, "1.1.0")
    newest = max(int(path.name[:4]) for path in (here.top / _MIGRATIONS).glob("*.sql"))
    (here.top / _MIGRATIONS / f"{newest + 1:04d}_more.sql").write_text(
        "CREATE TABLE one_more (number INTEGER PRIMARY KEY) STRICT;\n", encoding="utf-8"
    )
    here.commit("next")
    here.git("checkout", "--quiet", "trunk")
    assert here.call(".venv/bin/livespot", "migrate", "--var", "var").returncode == 0
    return here


def _say_version(top: Path, version: str) -> None:
    module = top / "internal" / "livespot" / "__init__.py"
    text = module.read_text(encoding="utf-8").partition("__version__")[0]
    module.write_text(f'{text}__version__ = "{version}"\n', encoding="utf-8")


def _environment(top: Path) -> None:
    """An environment that scripts/environment takes for its own, made without a network."""
    venv = top / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    borrowed = sysconfig.get_paths()["purelib"]
    (site / "livespot.pth").write_text(
        f"{top / 'internal'}\n{top / 'cmd'}\n{borrowed}\n", encoding="utf-8"
    )
    script = venv / "bin" / "livespot"
    script.write_text(
        f'#!/bin/sh\nexec {shlex.quote(str(python))} -B -P -m livespot_cmd.main "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    locks = (top / "scripts" / name for name in ("requirements.lock", "bootstrap.lock"))
    stamp = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    (venv / ".livespot-run").write_text(f"{stamp}\n", encoding="utf-8")


def test_up_with_a_new_schema_and_back_with_the_old_state(place: Place) -> None:
    up = place.call("scripts/upgrade", "next")

    assert up.returncode == 0, up.stdout + up.stderr
    assert place.version() == "1.1.0"
    assert "one_more" in place.tables()
    assert up.stdout.splitlines()[-1].startswith("Upgraded. Next: livespot doctor")

    back = place.call("scripts/rollback")

    assert back.returncode == 0, back.stdout + back.stderr
    assert place.version() == "1.0.0"
    assert "one_more" not in place.tables()
    assert place.git("symbolic-ref", "--short", "HEAD") == "trunk"
    assert [it for it in place.paths.var.iterdir() if it.name.startswith("replaced-")]
    assert place.call("scripts/rollback").returncode == 3


def test_without_a_new_schema_the_way_back_keeps_what_happened_since(place: Place) -> None:
    assert place.call("scripts/upgrade", "patch").returncode == 0
    assert place.version() == "1.0.1"
    place.run_happened("run_since")

    back = place.call("scripts/rollback")

    assert back.returncode == 0, back.stdout + back.stderr
    assert place.version() == "1.0.0"
    with closing(sqlite3.connect(place.paths.database)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_runs_that_the_old_version_cannot_read_are_given_up_only_when_asked_to(
    place: Place,
) -> None:
    assert place.call("scripts/upgrade", "next").returncode == 0
    place.run_happened("run_since")

    refused = place.call("scripts/rollback")

    assert refused.returncode == 3
    assert "there were runs since the upgrade" in refused.stderr
    assert place.version() == "1.1.0"

    back = place.call("scripts/rollback", "--forget-runs")

    assert back.returncode == 0, back.stdout + back.stderr
    assert place.version() == "1.0.0"
    (kept,) = place.paths.var.glob("replaced-*/data/audit.sqlite")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


@pytest.mark.parametrize("command", [("scripts/upgrade", "next"), ("scripts/rollback",)])
def test_nothing_is_changed_under_a_running_process(place: Place, command: tuple[str, ...]) -> None:
    if command == ("scripts/rollback",):
        assert place.call("scripts/upgrade", "patch").returncode == 0
    before = place.version()

    with RealDisk().lock(place.paths.lock, "a test"):
        refused = place.call(*command)

    assert refused.returncode == 5
    assert "livespot stop" in refused.stderr
    assert place.version() == before


def test_local_changes_and_unknown_versions_are_refused(place: Place) -> None:
    unknown = place.call("scripts/upgrade", "v99")
    (place.top / "README.md").write_text("mine\n", encoding="utf-8")
    dirty = place.call("scripts/upgrade", "next")

    assert unknown.returncode == dirty.returncode == 2
    assert "git fetch" in unknown.stderr
    assert "local changes" in dirty.stderr
    assert place.version() == "1.0.0"
    assert not (place.paths.backups / "last-upgrade").exists()


def test_an_upgrade_that_stops_half_way_names_the_way_back_and_the_way_back_works(
    place: Place,
) -> None:
    place.git("checkout", "--quiet", "next")
    (extra,) = (place.top / _MIGRATIONS).glob("*_more.sql")
    extra.write_text("CREATE TABLE one_more (number INTEGER PRIMARY KEY\n", encoding="utf-8")
    place.commit("a migration that breaks")
    place.git("checkout", "--quiet", "trunk")

    broken = place.call("scripts/upgrade", "next")
    back = place.call("scripts/rollback")

    assert broken.returncode != 0
    assert "Next: scripts/rollback" in broken.stderr
    assert back.returncode == 0, back.stdout + back.stderr
    assert place.version() == "1.0.0"
