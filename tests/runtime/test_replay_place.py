"""Directories of replays: numbers go up, old ones go, nothing is written over."""

from pathlib import Path

import pytest

from livespot.contracts.errors import PreflightFailed
from livespot.runtime.disk import RealDisk
from livespot.runtime.replay_place import KEPT, named, numbered


def _finished(root: Path) -> Path:
    """A replay that began, and is over."""
    paths = numbered(root)
    with RealDisk().lock(paths.lock, "a replay"):
        pass
    return paths.var


def test_each_replay_gets_the_next_number_and_the_last_ones_are_kept(tmp_path: Path) -> None:
    made = [_finished(tmp_path) for _ in range(KEPT + 3)]

    assert [path.name for path in made[:2]] == ["0001", "0002"]
    assert sorted(tmp_path.iterdir()) == made[-KEPT:]


def test_a_replay_that_still_runs_and_what_is_none_of_ours_are_left_alone(tmp_path: Path) -> None:
    running = numbered(tmp_path)
    foreign = tmp_path / "0002"
    foreign.mkdir()
    (foreign / "mine").touch()
    (tmp_path / "notes").mkdir()

    with RealDisk().lock(running.lock, "still running"):
        for _ in range(KEPT + 2):
            _finished(tmp_path)

    assert running.var.is_dir()
    assert (foreign / "mine").exists()
    assert (tmp_path / "notes").is_dir()


def test_a_named_directory_must_be_new_or_hold_a_configuration_only(tmp_path: Path) -> None:
    assert named(tmp_path / "new").var.is_dir()
    (tmp_path / "livespot.toml").touch()
    assert named(tmp_path / "new").var == tmp_path / "new"
    (tmp_path / "new" / "letters").touch()

    with pytest.raises(PreflightFailed, match=r"letters.*writes over nothing"):
        named(tmp_path / "new")
