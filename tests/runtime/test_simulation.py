"""What a new simulation does with the files of the last one."""

from pathlib import Path

import pytest

from livespot.contracts.errors import PreflightFailed
from livespot.runtime.paths import Paths
from livespot.runtime.simulation import set_aside


def _last_run(var: Path) -> Paths:
    paths = Paths(var=var)
    paths.database.parent.mkdir(parents=True)
    paths.database.write_text("the last run", encoding="utf-8")
    (var / "livespot.toml").write_text("", encoding="utf-8")
    return paths


def test_the_last_simulation_is_kept_as_the_previous_one(tmp_path: Path) -> None:
    paths = _last_run(tmp_path)

    with set_aside(paths):
        assert not paths.database.exists()

    kept = tmp_path / "previous" / "data" / "audit.sqlite"
    assert kept.read_text(encoding="utf-8") == "the last run"
    assert (tmp_path / "livespot.toml").exists()


def test_a_start_that_fails_puts_everything_back(tmp_path: Path) -> None:
    paths = _last_run(tmp_path)
    older = tmp_path / "previous" / "older"
    older.mkdir(parents=True)

    def start() -> None:
        with set_aside(paths):
            (tmp_path / "logs").mkdir()
            raise PreflightFailed("no such market")

    with pytest.raises(PreflightFailed):
        start()

    assert paths.database.read_text(encoding="utf-8") == "the last run"
    assert older.is_dir()
    assert not (tmp_path / "logs").exists()


def test_an_interrupted_start_loses_no_whole_simulation(tmp_path: Path) -> None:
    paths = _last_run(tmp_path)
    with pytest.raises(KeyboardInterrupt), set_aside(paths):
        raise KeyboardInterrupt

    with set_aside(paths):
        pass

    assert (tmp_path / "previous" / "data" / "audit.sqlite").exists()


@pytest.mark.parametrize("name", ["LIVE.ok", "sim", "thesis.odt"])
def test_what_no_simulation_wrote_is_never_set_aside(tmp_path: Path, name: str) -> None:
    paths = _last_run(tmp_path)
    (tmp_path / name).write_text("precious", encoding="utf-8")

    with pytest.raises(PreflightFailed, match=name), set_aside(paths):
        pass

    assert (tmp_path / name).read_text(encoding="utf-8") == "precious"
    assert paths.database.exists()
    assert not (tmp_path / "leaving").exists()


def test_a_desktops_hidden_file_is_left_where_it_is(tmp_path: Path) -> None:
    paths = _last_run(tmp_path)
    (tmp_path / ".DS_Store").write_text("", encoding="utf-8")

    with set_aside(paths):
        assert not paths.database.exists()

    assert (tmp_path / ".DS_Store").exists()


def test_files_that_only_share_our_names_are_never_set_aside(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "measured.csv").write_text("1", encoding="utf-8")

    with pytest.raises(PreflightFailed, match="no simulation"), set_aside(Paths(var=tmp_path)):
        pass

    assert (tmp_path / "data" / "measured.csv").exists()
