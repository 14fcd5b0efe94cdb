"""What a run-only installation weighs, and how soon the command answers."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from tests.bench.report import Figure, report

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

_ROOT = Path(__file__).resolve().parents[2]
_MOST_MB = 80
_MOST_PACKAGES = 35
_MOST_SECONDS = 0.3
_PACKAGING = ("pip", "uv", "setuptools", "wheel")
_RUNS = 11


def _installed(place: Path) -> Path:
    """A fresh environment of the run-only lock; its site-packages."""
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(place)], check=True)
    python = place / "bin" / "python"
    lock = _ROOT / "scripts" / "requirements.lock"
    options = ["--python", str(python), "--link-mode", "copy", "--compile-bytecode"]
    subprocess.run([*uv, "pip", "sync", *options, str(lock)], check=True)
    return next(place.glob("lib/python*/site-packages"))


def test_a_run_only_installation_stays_small(tmp_path: Path) -> None:
    site = _installed(tmp_path / "venv")
    packages = [p for p in site.glob("*.dist-info") if not p.name.startswith(_PACKAGING)]
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    megabytes = size / 1_000_000

    report(
        "run-only installation",
        Figure("size", megabytes, "MB", most=_MOST_MB),
        Figure("packages", len(packages), "", most=_MOST_PACKAGES),
    )


def test_help_answers_at_once() -> None:
    command = [str(Path(sys.executable).parent / "livespot"), "--help"]
    taken = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)

    report("livespot --help", Figure("median", median(taken), "s", most=_MOST_SECONDS))
