"""The events are held against the trail a day at a time, whatever the order of the days."""

import tracemalloc
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livespot.contracts.chain import Link
from livespot.evidence.trail_files import FilesCheck, FilesComparison
from livespot.rules.retention import day_of

_DAY_MS = 86_400_000
_DAYS = 3


def event(day: int, seq: int, text: str = "") -> Link:
    envelope = {
        "run_id": "run",
        "seq": seq,
        "ts_ms": day * _DAY_MS + seq,
        "data": msgspec.Raw(msgspec.json.encode(text)),
    }
    return Link(envelope=envelope, prev_hash="", hash="h")


def file_of(directory: Path, day: int) -> Path:
    return directory / f"audit-{day_of(day * _DAY_MS)}.jsonl"


def write(directory: Path, day: int, lines: Iterable[bytes]) -> None:
    file_of(directory, day).write_bytes(b"".join(line + b"\n" for line in lines))


def compared(directory: Path, links: Iterable[Link]) -> FilesCheck:
    comparison = FilesComparison(directory, {})
    for link in links:
        comparison.see(link)
    return comparison.result()


def difference(wanted: Sequence[bytes], found: Sequence[bytes]) -> tuple[int, int]:
    if wanted == found:
        return 0, 0
    lost = (Counter(wanted) - Counter(found)).total()
    stray = (Counter(found) - Counter(wanted)).total()
    return (lost, stray) if lost or stray else (1, 1)


def test_a_day_that_a_later_run_comes_back_to_is_compared_where_it_was_left(
    tmp_path: Path,
) -> None:
    order = [event(0, 1), event(0, 2), event(1, 3), event(0, 4), event(1, 5), event(0, 6)]
    for day in (0, 1):
        write(tmp_path, day, (e.line for e in order if e.envelope["ts_ms"] // _DAY_MS == day))

    check = compared(tmp_path, order)

    assert (check.files, check.lines, check.missing, check.unknown) == (2, 6, 0, 0)
    assert check.places == ()


def test_lines_in_another_order_are_a_missing_and_an_unknown_one(tmp_path: Path) -> None:
    order = [event(0, 1), event(0, 2), event(0, 3)]
    write(tmp_path, 0, (order[at].line for at in (0, 2, 1)))

    check = compared(tmp_path, order)

    assert (check.missing, check.unknown) == (1, 1)
    assert check.places == (
        f"{file_of(tmp_path, 0).name}, line 2: not what the database holds of event 2 of run",
    )


def test_a_line_without_its_end_is_placed_and_is_still_the_events(tmp_path: Path) -> None:
    order = [event(0, 1), event(0, 2)]
    file_of(tmp_path, 0).write_bytes(b"\n".join(link.line for link in order))

    check = compared(tmp_path, order)

    assert (check.missing, check.unknown) == (0, 0)
    assert check.places == (f"{file_of(tmp_path, 0).name}, line 2: its end is missing",)


def test_a_day_without_a_file_comes_last_and_a_file_without_events_is_unknown(
    tmp_path: Path,
) -> None:
    write(tmp_path, 2, [b"{}", b"{}"])

    check = compared(tmp_path, [event(0, 1), event(0, 2)])

    assert (check.missing, check.unknown) == (2, 2)
    assert check.places == (
        f"{file_of(tmp_path, 2).name}, line 1: no event of the database",
        f"{file_of(tmp_path, 0).name} is missing, 2 events long",
    )


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(st.integers(0, _DAYS - 1), max_size=12),
    changes=st.lists(
        st.tuples(
            st.integers(0, _DAYS - 1),
            st.sampled_from(("drop", "double", "turn", "add")),
            st.integers(0, 20),
        ),
        max_size=3,
    ),
)
def test_the_counts_are_those_of_comparing_whole_days(
    tmp_path: Path, days: list[int], changes: list[tuple[int, str, int]]
) -> None:
    links = [event(day, seq) for seq, day in enumerate(days, start=1)]
    wanted = [[e.line for e, on in zip(links, days, strict=True) if on == d] for d in range(_DAYS)]
    found = [[*lines] for lines in wanted]
    for day, change, at in changes:
        _change(found[day], change, at)
    for day, lines in enumerate(found):
        write(tmp_path, day, lines)

    check = compared(tmp_path, links)

    apart = [difference(*pair) for pair in zip(wanted, found, strict=True)]
    assert (check.missing, check.unknown) == tuple(map(sum, zip(*apart, strict=True)))
    assert len(check.places) == sum(pair != (0, 0) for pair in apart)
    assert check.lines == sum(map(len, found))


@pytest.mark.slow
def test_many_days_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    peaks = [peak_of(tmp_path, days) for days in (3, 60)]

    assert peaks[1] < 1.5 * peaks[0]


def peak_of(directory: Path, days: int) -> int:
    each = 100
    for day in range(days):
        write(directory, day, (event(day, seq, "x" * 400).line for seq in range(each)))
    tracemalloc.start()
    try:
        check = compared(
            directory, (event(day, seq, "x" * 400) for day in range(days) for seq in range(each))
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (check.lines, check.missing) == (days * each, 0)
    return peak


def _change(lines: list[bytes], change: str, at: int) -> None:
    if change == "add" or not lines:
        lines.insert(at % (len(lines) + 1), b'{"of":"nobody"}')
        return
    where = at % len(lines)
    if change == "drop":
        del lines[where]
    elif change == "double":
        lines.insert(where, lines[where])
    else:
        lines.append(lines.pop(where))
