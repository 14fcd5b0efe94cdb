"""Which results of crash drills let live trading begin."""

from collections.abc import Sequence

import msgspec

from livespot.rules.drills import DRILLS, DrillRecord, DrillRow, Program, counting_pass

_NOW = Program(version="1.2.0", commit="abc")


def _record(
    names: Sequence[str] = DRILLS, *, failed: Sequence[str] = (), program: Program = _NOW
) -> DrillRecord:
    rows = tuple(
        DrillRow(
            name=name,
            injected="",
            hits=1,
            modes=(),
            duplicates=0,
            lost_fills=0,
            max_unprotected_ms=0,
            passed=name not in failed,
        )
        for name in names
    )
    return DrillRecord(
        version=program.version,
        commit=program.commit,
        config_hash="",
        at_ms=1,
        took_ms=1,
        replaced=(),
        rows=rows,
    )


def test_a_pass_of_every_drill_by_the_running_program_counts() -> None:
    record = _record()

    assert counting_pass([record], _NOW) is record


def test_without_any_record_nothing_counts() -> None:
    assert counting_pass([], _NOW) == "the crash drills were never run here"


def test_some_drills_alone_are_no_pass_but_take_none_back() -> None:
    some, whole = _record(["ban"]), _record()

    assert counting_pass([some], _NOW) == "only some of the crash drills were run by this version"
    assert counting_pass([some, whole], _NOW) is whole


def test_a_failure_takes_an_earlier_pass_back_until_all_are_passed_again() -> None:
    failed, whole = _record(["ban"], failed=["ban"]), _record()

    assert counting_pass([failed, whole], _NOW) == "crash drills failed: ban"
    assert counting_pass([_record(["ban"]), failed, whole], _NOW) == "crash drills failed: ban"
    assert counting_pass([whole, failed], _NOW) is whole


def test_a_pass_by_another_version_or_commit_does_not_count() -> None:
    older = msgspec.structs.replace(_NOW, version="1.1.0")
    other = msgspec.structs.replace(_NOW, commit="def")

    for program in (older, other):
        assert isinstance(counting_pass([_record(program=program)], _NOW), str)


def test_a_record_that_lacks_a_drill_is_no_pass() -> None:
    assert not _record(DRILLS[:-1]).is_pass
    assert not _record(failed=["ban"]).is_pass
    assert _record().is_pass
