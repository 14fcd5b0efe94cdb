"""Makes the disk below a directory scarce, by a small mounted volume or a limit on file sizes."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILLER = "filler"
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """A file system of its own at `place`, held in memory."""

    place: Path

    def fill(self, process: int) -> None:
        """Take every byte that is left; `process` is not asked."""
        del process
        with (self.place / _FILLER).open("wb", buffering=0) as filler:
            for size in (_CHUNK, 1):
                while _written(filler.fileno(), size):
                    pass

    def free(self) -> None:
        (self.place / _FILLER).unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Nobody may have a file open for writing there."""
        _mount("-o", "remount,ro", str(self.place))
        try:
            yield
        finally:
            _mount("-o", "remount,rw", str(self.place))


@dataclass(frozen=True, slots=True)
class LimitedFiles:
    """No file of the process may grow: what remains where nothing can be mounted."""

    place: Path

    def fill(self, process: int) -> None:
        """From now on every write beyond the present end of a file fails."""
        if sys.platform != "linux":
            raise OSError("limits of another process can be set on Linux only")
        resource.prlimit(process, resource.RLIMIT_FSIZE, (0, 0))

    def free(self) -> None:
        """The limit dies with its process."""

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Directory and files without the right to write; for other users than root."""
        paths = [self.place, *self.place.iterdir()]
        modes = [path.stat().st_mode for path in paths]
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode & ~0o222)
        try:
            yield
        finally:
            for path, mode in zip(paths, modes, strict=True):
                path.chmod(mode)


@cache
def may_mount() -> bool:
    """Whether this process can mount a volume, found out by doing it."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        try:
            _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", scratch)
        except subprocess.CalledProcessError:
            return False
        _unmount(Path(scratch))
    return True


def way() -> str:
    """How `small_volume` makes a disk scarce here."""
    return "mounted-volume" if may_mount() else "file-size-limit"


@contextmanager
def small_volume(place: Path, size: str) -> Iterator[MountedVolume | LimitedFiles]:
    """`place` on a volume of `size` (as `32m`) where that is permitted, else limited files."""
    place.mkdir(parents=True, exist_ok=True)
    if not may_mount():
        yield LimitedFiles(place)
        return
    _mount("-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place))
    try:
        yield MountedVolume(place)
    finally:
        _unmount(place)


def _written(descriptor: int, size: int) -> bool:
    try:
        return os.write(descriptor, bytes(size)) == size
    except OSError:
        # The volume is full, which is what was wanted.
        return False


def _mount(*arguments: str) -> None:
    subprocess.run(  # noqa: S603  a fixed program
        [shutil.which("mount") or "mount", *arguments], check=True, capture_output=True
    )


def _unmount(place: Path) -> None:
    """Also while something still has a file open there: it goes once nobody has."""
    subprocess.run(  # noqa: S603  a fixed program
        [shutil.which("umount") or "umount", "-l", str(place)], check=True, capture_output=True
    )
