"""A file of a day that is on record as removed may hold what was written, and nothing else."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.evidence.test_trail_files import event

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.chain import Link
from livespot.evidence.trail_files import FilesCheck, FilesComparison
from livespot.rules.retention import day_of
from livespot.store.anchors import TrailDay
from livespot.store.day_files import packed_name, plain_name

DAY = day_of(0)
ONCE = [event(0, seq) for seq in range(1, 40)]
# What is pruned later is only what is routine.
LEFT = ONCE[::5]
CONTENT = b"".join(link.line + b"\n" for link in ONCE)
PACKED = gzip.compress(CONTENT, mtime=0)


def compared(directory: Path, links: Iterable[Link] = LEFT) -> FilesCheck:
    day = TrailDay(
        day=DAY, sha256=sha256_hex(PACKED), lines=len(ONCE), packed_at_ms=1, removed_at_ms=2
    )
    comparison = FilesComparison(directory, {DAY: day})
    for link in links:
        comparison.see(link)
    return comparison.result()


def told(check: FilesCheck) -> tuple[int, tuple[str, ...]]:
    assert check.missing == 0
    return check.unknown, check.places


def test_a_removed_day_without_a_file_lacks_nothing(tmp_path: Path) -> None:
    assert told(compared(tmp_path)) == (0, ())


@pytest.mark.parametrize("links", [LEFT, []], ids=["some events left", "no event left"])
def test_a_packed_file_that_a_kill_left_is_held_against_its_record(
    tmp_path: Path, links: list[Link]
) -> None:
    path = tmp_path / packed_name(DAY)
    path.write_bytes(PACKED)
    assert told(compared(tmp_path, links)) == (0, ())

    forged = CONTENT.replace(b'"seq":3,', b'"seq":4,', 1)
    for content in (gzip.compress(forged, mtime=0), PACKED[:-1], b""):
        path.write_bytes(content)
        place = f"{path.name}: not the bytes that were packed, {len(ONCE)} lines long"
        assert told(compared(tmp_path, links)) == (1, (place,))


def test_lines_that_were_written_after_time_was_set_back_are_those_of_events(
    tmp_path: Path,
) -> None:
    later = [event(0, seq) for seq in (50, 51)]
    path = tmp_path / plain_name(DAY)
    path.write_bytes(b"".join(link.line + b"\n" for link in later))
    assert told(compared(tmp_path, [*LEFT, *later])) == (0, ())

    assert told(compared(tmp_path, [*LEFT, later[0]])) == (
        1,
        (f"{path.name}, line 2: no event of the database",),
    )


def test_a_plain_file_that_a_kill_left_beside_the_packed_one_is_known(tmp_path: Path) -> None:
    (tmp_path / packed_name(DAY)).write_bytes(PACKED)
    plain = tmp_path / plain_name(DAY)
    plain.write_bytes(CONTENT)
    assert told(compared(tmp_path)) == (0, ())

    plain.write_bytes(CONTENT + b'{"of":"nobody"}\n')
    line = f"{plain.name}, line {len(ONCE) + 1}: no event of the database"
    assert told(compared(tmp_path)) == (1, (line,))


def test_a_plain_file_that_would_pack_to_what_was_removed_is_known(tmp_path: Path) -> None:
    (tmp_path / plain_name(DAY)).write_bytes(CONTENT)

    assert told(compared(tmp_path)) == (0, ())
