"""Where replays keep their files: numbered directories, or one that the user names."""

import re
import shutil
from pathlib import Path

from livespot.contracts.errors import PreflightFailed
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths, default_var

# How many numbered replays are kept, the newest included.
KEPT = 10
_NUMBER = re.compile(r"\d{4,}")
_ALLOWED = {"livespot.toml", "livespot.lock"}


def replays() -> Paths:
    """Return the directory of all numbered replays, which holds their common configuration."""
    return Paths(var=default_var() / "replay")


def named(var: Path) -> Paths:
    """Return this directory. Raises `PreflightFailed` when it is not empty."""
    present = set(RealDisk().names(var)) - _ALLOWED
    if present:
        raise PreflightFailed(
            f"{var} holds files already ({', '.join(sorted(present)[:3])}), and a replay writes "
            "over nothing.\nNext: give --var a new or empty directory, or leave it out"
        )
    RealDisk().make_directory(var)
    return Paths(var=var)


def numbered(root: Path) -> Paths:
    """Create a directory with the next number; of the older ones the last few are kept."""
    RealDisk().make_directory(root)
    numbers = _numbers(root)
    for number in numbers[: max(0, len(numbers) - KEPT + 1)]:
        _forget(root / number)
    following = int(numbers[-1]) + 1 if numbers else 1
    while True:
        var = root / f"{following:04d}"
        try:
            var.mkdir(mode=0o700)
        except FileExistsError:
            # Another replay took this number at the same moment.
            following += 1
        else:
            return Paths(var=var)


def _numbers(root: Path) -> list[str]:
    return sorted((name for name in RealDisk().names(root) if _NUMBER.fullmatch(name)), key=int)


def _forget(var: Path) -> None:
    """Remove an old replay, unless it still runs or is not ours."""
    ours = var.is_dir() and not var.is_symlink() and Paths(var=var).lock.exists()
    if ours and not RealDisk().is_locked(Paths(var=var).lock):
        shutil.rmtree(var)
