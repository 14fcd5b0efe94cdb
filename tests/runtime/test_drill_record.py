"""Results of crash drills on disk: kept whole, found again, and never believed when unreadable."""

from pathlib import Path

from livespot import __version__
from livespot.runtime.disk import RealDisk
from livespot.runtime.drill_record import proof, running_program
from livespot.runtime.paths import Paths
from livespot.testing.doctor_plans import pass_drills


def test_a_stored_pass_is_found_with_its_file_and_hash(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path / "var")
    pass_drills(paths, config_hash="c" * 64)

    found = proof(RealDisk(), paths)

    (file,) = paths.drills.iterdir()
    assert found.problem == ""
    assert f"drills/{file.name}, sha256 " in found.name
    assert found.config_hash == "c" * 64


def test_a_directory_without_drills_has_no_proof(tmp_path: Path) -> None:
    assert proof(RealDisk(), Paths(var=tmp_path)).problem == "the crash drills were never run here"


def test_a_damaged_record_is_a_problem_and_not_skipped(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    pass_drills(paths)
    (paths.drills / "29991231_000000_000.json").write_text("{")

    assert "29991231_000000_000.json" in proof(RealDisk(), paths).problem


def test_a_record_under_another_time_is_not_believed(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    pass_drills(paths)
    (file,) = paths.drills.iterdir()
    file.rename(file.with_name("29991231_000000_000.json"))

    assert "not the name" in proof(RealDisk(), paths).problem


def test_what_a_crash_left_half_written_is_no_record(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    pass_drills(paths)
    (paths.drills / ".29991231_000000_000.json.partial").write_text("{")

    assert proof(RealDisk(), paths).problem == ""


def test_the_running_program_names_version_and_commit() -> None:
    program = running_program()

    assert program.version == __version__
    assert len(program.commit) in (0, 40)
