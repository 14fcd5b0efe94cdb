"""The file seam on the real file system."""

import subprocess
import sys
from pathlib import Path

import pytest

from livespot.contracts.errors import SecondInstance
from livespot.runtime.disk import Disk, RealDisk

HOLD = """
import sys, pathlib
from livespot.runtime.disk import RealDisk
with RealDisk().lock(pathlib.Path(sys.argv[1]), "run_other"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def disk() -> Disk:
    return RealDisk()


def test_a_replaced_file_is_whole_private_and_leaves_no_debris(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    disk.write_atomic(path, b"old")

    disk.write_atomic(path, b"new")

    assert disk.read(path) == b"new"
    assert disk.names(tmp_path) == ("a.json",)
    assert path.stat().st_mode & 0o077 == 0


def test_a_write_that_cannot_finish_keeps_the_old_file(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    disk.write_atomic(path, b"old")
    (tmp_path / ".a.json.partial").mkdir()

    with pytest.raises(OSError, match="directory"):
        disk.write_atomic(path, b"new")

    assert disk.read(path) == b"old"


@pytest.mark.parametrize("durable", [True, False])
def test_appending_keeps_what_was_there(disk: Disk, tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.jsonl"

    disk.append(path, b"1\n", durable=durable)
    disk.append(path, b"2\n", durable=durable)

    assert b"".join(disk.chunks(path)) == b"1\n2\n"
    assert disk.size(path) == 4
    assert path.stat().st_mode & 0o077 == 0


def test_directories_are_private_and_files_can_go(disk: Disk, tmp_path: Path) -> None:
    directory = tmp_path / "control"
    disk.make_directory(directory)
    disk.write_atomic(directory / "b", b"")
    disk.write_atomic(directory / "a", b"")

    disk.rename(directory / "a", directory / "c")
    disk.remove(directory / "b")
    disk.remove(directory / "b")

    assert disk.names(directory) == ("c",)
    assert disk.names(tmp_path / "none") == ()
    assert directory.stat().st_mode & 0o077 == 0
    assert disk.size(tmp_path / "none") == 0
    assert not disk.exists(tmp_path / "none")
    assert disk.modified_ms(directory / "c") > 0
    assert disk.free_bytes(tmp_path) > 0


def test_a_second_process_is_refused_and_told_who_holds_the_lock(
    disk: Disk, tmp_path: Path
) -> None:
    path = tmp_path / "livespot.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        assert disk.is_locked(path)
        with pytest.raises(SecondInstance, match="run_other"), disk.lock(path, "run_mine"):
            pass
        other.kill()

    assert not disk.is_locked(path)
    with disk.lock(path, "run_mine"):
        assert path.read_bytes() == b"run_mine"


def test_the_lock_is_free_again_after_use_and_excludes_within_a_process(
    disk: Disk, tmp_path: Path
) -> None:
    path = tmp_path / "livespot.lock"
    with (
        disk.lock(path, "one"),
        pytest.raises(SecondInstance, match="livespot stop"),
        disk.lock(path, "two"),
    ):
        pass

    with disk.lock(path, "three"):
        assert path.read_bytes() == b"three"


def test_asking_whether_a_lock_is_held_neither_makes_nor_takes_it(
    disk: Disk, tmp_path: Path
) -> None:
    path = tmp_path / "livespot.lock"

    assert not disk.is_locked(path)
    assert not path.exists()
    with disk.lock(path, "one"):
        assert disk.is_locked(path)
        assert path.read_bytes() == b"one"
    assert not disk.is_locked(path)
