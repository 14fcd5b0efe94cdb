"""Short soaks of the real runtime: a clean one passes, planted leaks are found."""

from asyncio import get_running_loop
from contextlib import ExitStack
from contextvars import copy_context
from itertools import pairwise
from pathlib import Path

from click.testing import CliRunner

from livespot.runtime.system import System
from livespot.testing.search.__main__ import main
from livespot.testing.search.judging import line_of as line_of_finding
from livespot.testing.search.soak import findings_of, lived
from livespot.testing.search.soak_judge import before_restarts, growth_in, growth_over, in_long_life
from livespot.testing.search.soak_plan import draw_soak, soak_market
from livespot.testing.search.soak_run import line_of, run_soak
from livespot.testing.search.soak_samples import SAMPLES_FILE, SoakSample, read_samples

# Parts of twenty seconds, and a sample a minute.
_SPAN_MS = 600_000
_EVERY_SECONDS = 10
_SLOW_TO_SETTLE = {"bytes of memory", "objects", "WAL"}


def test_a_short_soak_of_the_unchanged_runtime_grows_nowhere_however_often_it_is_judged(
    tmp_path: Path,
) -> None:
    plan = draw_soak(1, _SPAN_MS)
    kept = lived(plan, tmp_path)
    findings = {finding.id: finding for finding in findings_of(kept, tmp_path)}
    samples = read_samples(tmp_path / SAMPLES_FILE)
    growths = (
        *growth_in(in_long_life(samples, plan.part_ms)),
        *growth_over(before_restarts(samples)),
    )

    violated = {name for name, finding in findings.items() if finding.violated}
    assert not violated - {"G1", "G2"}
    # What is loaded and kept takes hours to settle; all else stands still from the beginning.
    assert {growth.name for growth in growths if growth.is_too_much} <= _SLOW_TO_SETTLE
    assert len(growths) > len(_SLOW_TO_SETTLE)
    assert findings["I18"].proven
    assert findings["I32"].proven
    assert list((tmp_path / "backups").glob("audit-*.sqlite")), "the upkeep did its work"
    assert max(sample.life for sample in samples) >= 10
    judged_again = CliRunner().invoke(main, ["--profile", "soak", "--judge", str(tmp_path)])
    told = judged_again.output.splitlines()
    lines = [line_of_finding(finding) for finding in findings.values()]
    assert told[-1 - len(lines) : -1] == lines
    failed = sum(finding.violated for finding in findings.values())
    assert told[-1].endswith(f"seed 1: violations {failed}")
    assert judged_again.exit_code == (1 if failed else 0)
    assert "exchange's journal: " in judged_again.output


def test_a_directory_in_which_no_soak_ended_is_not_judged(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["--profile", "soak", "--judge", str(tmp_path)])

    assert said.exit_code == 1
    assert "holds no soak that ended" in said.output


def test_a_list_a_task_and_a_file_that_nobody_lets_go_are_found(tmp_path: Path) -> None:
    hoard: list[object] = []
    with ExitStack() as opened:

        async def waits() -> None:
            await get_running_loop().create_future()

        def leak(system: System) -> None:
            clock = system.seams.clock

            async def leaks() -> None:
                while not system.ending.wanted.is_set():
                    await clock.sleep(_EVERY_SECONDS)
                    hoard.extend([n] for n in range(400))
                    hoard.append(get_running_loop().create_task(waits()))
                    hoard.append(opened.enter_context((tmp_path / "held").open("ab")))

            hoard.append(get_running_loop().create_task(leaks(), context=copy_context()))

        plan = draw_soak(1, _SPAN_MS)
        result = run_soak(plan, tmp_path, leak)
    long = in_long_life(read_samples(tmp_path / SAMPLES_FILE), plan.part_ms)

    found = {growth.name for growth in growth_in(long) if growth.is_too_much}
    assert {"tasks", "descriptors", "objects"} <= found
    assert any(life.tasks_left for life in result.lives)


def test_the_market_of_a_soak_is_quoted_every_two_seconds_and_hardly_more() -> None:
    plan = draw_soak(1, _SPAN_MS)
    series = next(iter(soak_market(plan).series.values()))

    events = series.events("key", plan.run.start_ms)
    times = [event.t_ms for event in events]
    assert 60 < len(times) < 100
    assert max(b - a for a, b in pairwise(times)) < 2000


def test_a_soak_restarts_in_order_first_and_then_kills_and_has_faults_all_along() -> None:
    month = draw_soak(3, 30 * 86_400_000)

    assert month.orderly_ms == tuple(day * 86_400_000 for day in range(1, 9))
    assert [death.after_ms for death in month.deaths] == [None] * 8 + [86_400_000] * 3
    days = [fault.when.after_ms or 0 for fault in month.run.faults]
    assert len(days) == 60
    assert days == sorted(days)
    assert draw_soak(3, 30 * 86_400_000) == month != draw_soak(4, 30 * 86_400_000)


def test_a_day_of_a_soak_is_one_line() -> None:
    sample = SoakSample(
        at_ms=86_400_000,
        life=2,
        age_ms=1000,
        cpu_ms=120_500,
        rss_bytes=91_200_000,
        objects=100_100,
        tasks=59,
        others=14,
        timers=22,
        descriptors=12,
        queues={"risk": 1, "governor": 22},
        database_bytes=61_000_000,
        wal_bytes=4_100_000,
        var_bytes=99_000_000,
        journal_bytes=1,
    )

    assert line_of(1, sample) == (
        "day 1: life 2, 91.2 MB, 100100 objects, 59+14 tasks, 22 timers, 12 descriptors, "
        "longest queue 22, database 61 MB, WAL 4.1 MB, var 99 MB, 120 s of processor time"
    )
