"""Whoever asks for what was pruned is told when it went and where it stands, and never a zero."""

import shutil
from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest
from tests.runtime.test_upkeep import kept_up_copy, rounds

from livespot.contracts.errors import PreflightFailed
from livespot.evidence.answers import check_answers
from livespot.evidence.endings import check_endings
from livespot.evidence.facts import read_counts
from livespot.evidence.manifest import RunInputs
from livespot.evidence.plain_summary import plain
from livespot.evidence.pruned import lost_of
from livespot.evidence.run_folder import Whereabouts, complete, read_report
from livespot.evidence.run_report import markdown
from livespot.evidence.summary import RunSummary, summarise
from livespot.evidence.telling import lines
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.runtime.replay_recorded import command_for
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import aged_run
from livespot.testing.finished_run import RUN

pytestmark = pytest.mark.slow

SEEN = "pruned on 2026-05-02, see runs/{}/summary.json"


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    directory = tmp_path_factory.mktemp("aged")
    anyio.run(aged_run.told, directory)
    return Paths(var=directory)


@pytest.fixture(scope="module")
def kept_up(aged: Paths, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return kept_up_copy(aged, tmp_path_factory.mktemp("kept") / "var")


async def summed(paths: Paths, run_id: str) -> RunSummary:
    return await summarise(paths.database, paths.logs, run_id, None)


def where(paths: Paths) -> Whereabouts:
    return Whereabouts(
        reader=ReadOnlyDatabase(paths.database),
        database=paths.database,
        logs=paths.logs,
        runs=paths.runs,
        checkout=paths.var,
    )


async def test_a_run_counts_its_pruned_events_and_does_not_know_the_rest(
    aged: Paths, kept_up: Paths
) -> None:
    before = await read_counts(ReadOnlyDatabase(aged.database), aged_run.LONG)
    after = await read_counts(ReadOnlyDatabase(kept_up.database), aged_run.LONG)

    assert before.events == after.events == aged_run.ROUTINE_EVENTS + 2
    assert (before.blocked, after.blocked) == (aged_run.ROUTINE_EVENTS - 1, -1)
    assert (before.cycles >= 0, after.cycles) == (True, -1)
    assert (len(before.strategy_reasons), after.strategy_reasons) == (1, ())
    assert (before.pruned, after.pruned) == ("", SEEN.format(aged_run.LONG))


async def test_a_later_run_is_whole(kept_up: Paths) -> None:
    counts = await read_counts(ReadOnlyDatabase(kept_up.database), aged_run.LATER)

    assert (counts.pruned, counts.blocked, counts.cycles, counts.events) == ("", 0, 0, 42)


async def test_the_summary_says_unknown_in_words_and_null_in_its_file(
    aged: Paths, kept_up: Paths
) -> None:
    told = "\n".join(lines(await summed(kept_up, aged_run.LONG)))
    assert "unknown how many blocked in an unknown number of cycles" in told
    assert f"what is unknown was {SEEN.format(aged_run.LONG)}" in told
    assert "blocked by    unknown" in told
    whole = "\n".join(lines(await summed(aged, aged_run.LONG)))
    assert "0 proposed, 1299 blocked in 0 cycles" in whole
    assert "pruned" not in whole

    counts = plain(await summed(kept_up, aged_run.LONG))["counts"]

    assert [counts[name] for name in ("cycles", "blocked", "strategy_reasons")] == [None] * 3
    assert counts["unknown"] == dict.fromkeys(
        ("cycles", "blocked", "strategy_reasons"), SEEN.format(aged_run.LONG)
    )
    assert "unknown" not in plain(await summed(aged, aged_run.LONG))["counts"]


async def test_the_report_does_not_say_that_nothing_was_blocked(kept_up: Paths) -> None:
    report = await read_report(RealDisk(), where(kept_up), aged_run.LONG, None)

    blocks = markdown(report).split("## Blocks by reason")[1].split("##")[0]

    assert "nothing was blocked" not in blocks
    assert SEEN.format(aged_run.LONG) in blocks


async def test_the_peak_of_the_samples_that_are_left_is_not_told_as_the_runs(
    kept_up: Paths,
) -> None:
    report = await read_report(RealDisk(), where(kept_up), aged_run.LONG, None)

    assert report.fingerprint.weight_peak is None
    assert report.fingerprint.unknown == {"weight_peak": SEEN.format(aged_run.LONG)}


async def test_a_run_that_was_pruned_while_it_lasted_is_referred_to_a_backup(
    tmp_path: Path,
) -> None:
    """Its summary was written behind the pruning, so that holds no more than the database."""
    await aged_run.told(tmp_path)
    paths = Paths(var=tmp_path)
    await rounds(paths, 1)
    reader = ReadOnlyDatabase(paths.database)
    assert (await lost_of(reader, aged_run.LONG)).story.endswith("summary.json")

    class Unended:
        """The same rows, but of a run that has not ended."""

        async def rows(self, sql: str, values: object = ()) -> list[tuple[object, ...]]:
            found = await reader.rows(sql, values)  # type: ignore[arg-type]
            return [(found[0][0], 0)] if "FROM runs" in sql else found

    story = (await lost_of(Unended(), aged_run.LONG)).story

    assert story == "pruned on 2026-05-02, see a backup that was made before"


async def test_the_folder_of_a_pruned_run_that_is_completed_late_says_what_is_gone(
    kept_up: Paths, tmp_path: Path
) -> None:
    shutil.copytree(kept_up.var, tmp_path / "var")
    paths = Paths(var=tmp_path / "var")

    await complete(RealDisk(), where(paths), aged_run.LONG, None)

    kept = msgspec.json.decode((paths.runs / aged_run.LONG / "summary.json").read_bytes())
    assert kept["summary"]["counts"]["blocked"] is None
    assert "pruned on 2026-05-02" in kept["summary"]["counts"]["unknown"]["blocked"]


async def test_the_checks_of_endings_leave_pruned_runs_out_and_name_them(
    aged: Paths, kept_up: Paths
) -> None:
    found = {one.id: one for one in await check_endings(ReadOnlyDatabase(kept_up.database))}

    assert [one.id for one in found.values() if one.violated] == []
    for name in ("universe", "deep scan", "selection", "cycles", "proposals"):
        assert f"({SEEN.format(RUN)}) and 1 more" in found[name].detail
    assert "left out" not in found["reasons"].detail
    before = await check_endings(ReadOnlyDatabase(aged.database))
    assert not [one for one in before if "left out" in one.detail]


async def test_the_answer_about_a_pruned_time_is_that_it_was_pruned(kept_up: Paths) -> None:
    finding = await check_answers(ReadOnlyDatabase(kept_up.database), every_ms=500)

    assert finding.looked_at
    assert not [text for text in finding.detail.split("; ") if "2026-01-0" in text]


async def test_a_replay_is_not_held_to_a_run_that_was_pruned(
    kept_up: Paths, tmp_path: Path
) -> None:
    shutil.copytree(kept_up.var, tmp_path / "var")
    paths = Paths(var=tmp_path / "var")
    report = await read_report(RealDisk(), where(paths), aged_run.LONG, None)
    inputs = RunInputs(
        data="",
        data_set_id="",
        data_set_sha256="",
        symbols=(),
        seed=1,
        start_ms=aged_run.LONG_MS,
        span_ms=1,
        speed=1,
        virtual=True,
        faults="",
        faults_name="",
        gate="",
    )
    folder = paths.runs / aged_run.LONG
    folder.mkdir(parents=True)
    manifest = msgspec.structs.replace(report.manifest, inputs=inputs)
    (folder / "run_manifest.json").write_bytes(msgspec.json.encode(manifest))

    def command(*, once: bool) -> str:
        chosen = command_for(paths, aged_run.LONG, once=once)
        assert chosen.source is not None
        return chosen.source.recomputed

    with pytest.raises(PreflightFailed, match="1299 of its events were pruned on 2026-05-02"):
        await anyio.to_thread.run_sync(partial(command, once=False))
    assert "DIFFER" not in await anyio.to_thread.run_sync(partial(command, once=True))
