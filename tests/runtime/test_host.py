"""Figures of the process and its disk, from the real operating system."""

import resource
from pathlib import Path

from livespot.runtime.host import Host


def test_a_running_process_has_memory_time_and_a_disk(tmp_path: Path) -> None:
    host = Host(tmp_path / "audit.sqlite")

    assert host.rss_bytes() > 1_000_000
    assert host.cpu_percent_x100() >= 0
    assert host.free_bytes() > 0


def test_the_open_files_are_counted_against_the_limit_of_this_process(tmp_path: Path) -> None:
    host = Host(tmp_path / "audit.sqlite")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
    try:
        before = host.open_files_percent()
        files = [(tmp_path / f"{number}").open("w") for number in range(100)]
        during = host.open_files_percent()
        for file in files:
            file.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert during - before == 50
    assert host.open_files_percent() < during


def test_a_database_that_is_not_there_yet_has_no_size(tmp_path: Path) -> None:
    assert Host(tmp_path / "audit.sqlite").database_bytes() == (0, 0)


def test_the_database_and_its_log_are_counted_apart(tmp_path: Path) -> None:
    (tmp_path / "audit.sqlite").write_bytes(b"x" * 11)
    (tmp_path / "audit.sqlite-wal").write_bytes(b"x" * 7)

    assert Host(tmp_path / "audit.sqlite").database_bytes() == (11, 7)
