"""Planted defects: each is put in place and taken out again, and some are found at once."""

import dataclasses
from typing import Any

import pytest
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from livespot.actors.mutation_desk import MutationDesk
from livespot.exchange.faults.plan import DropRequest, Fault, Match, When
from livespot.runtime.replay_loop import VirtualLivelock, VirtualLoop, run_virtually
from livespot.testing.search.drawing import draw
from livespot.testing.search.mutant_search import (
    MUTANTS,
    Sighting,
    look,
    look_at,
    search_mutants,
)
from livespot.testing.search.mutants import (
    Bench,
    Mutant,
    always,
    deaths,
    planted,
    power_cuts,
    verbs,
)
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.wanted import Wanted


def _wanted(name: str, *, first: int, seeds: int) -> Wanted:
    return Wanted(
        profile="mutants",
        first=first,
        seeds=seeds,
        jobs=1,
        seed_only=None,
        plan=None,
        keep=None,
        shrink=False,
        coverage=False,
        only=(name,),
    )


def test_there_are_thirty_of_them() -> None:
    assert len(MUTANTS) == 30


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_defect_changes_something_and_leaves_nothing_behind(name: str) -> None:
    before: list[tuple[Any, str, Any]] = []

    class NotingBench(Bench):
        def put(self, owner: Any, name: str, value: Any) -> Any:
            before.append((owner, name, owner.__dict__[name]))
            return super().put(owner, name, value)

    bench = NotingBench()
    MUTANTS[name].plant(bench)
    assert all(owner.__dict__[attribute] is not was for owner, attribute, was in before)
    bench.clear()

    assert before
    assert all(owner.__dict__[attribute] is was for owner, attribute, was in before)


def test_a_defect_is_taken_out_again_when_its_run_breaks() -> None:
    sound = MutationDesk.__dict__["send"]

    def broken_run() -> None:
        with planted(MUTANTS["row-after-send"]):
            assert MutationDesk.__dict__["send"] is not sound
            raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"):
        broken_run()

    assert MutationDesk.__dict__["send"] is sound


def test_a_run_in_which_time_stands_still_ends_soon() -> None:
    async def busy() -> None:
        while True:
            await checkpoint()

    with planted(MUTANTS["row-after-send"]):
        loop = VirtualLoop()
        with pytest.raises(VirtualLivelock):
            run_virtually(loop, busy)

    assert loop.points < 30_000


@pytest.mark.slow
def test_a_run_that_does_not_end_is_no_finding() -> None:
    async def spin(*_: object, **__: object) -> None:
        while True:
            await checkpoint()

    def plant(bench: Bench) -> None:
        bench.put(MutationDesk, "send", spin)

    stuck = dataclasses.replace(MUTANTS["attempt-missing"], needs=always, plant=plant)

    seen = look_at(stuck, draw("short", 77))

    assert (seen.ran, seen.broken) == (True, ())
    assert "time stands still" in seen.detail


def test_only_plans_that_could_show_a_defect_are_run() -> None:
    plans = [draw("short", seed) for seed in range(1, 60)]

    assert any(deaths(plan) for plan in plans)
    assert any(power_cuts(plan) for plan in plans)
    assert all(deaths(plan) for plan in plans if power_cuts(plan))
    quiet = next(plan for plan in plans if not plan.faults)
    assert not verbs("net.", "ex.")(quiet)


def test_a_seed_that_could_not_show_a_defect_is_not_run() -> None:
    mutant: Mutant = MUTANTS["synchronous-normal"]
    seed = next(seed for seed in range(1, 60) if not mutant.needs(draw("short", seed)))

    assert look(mutant.name, seed) == Sighting(seed=seed, ran=False)


def test_seeds_that_are_drawn_and_not_run_count_as_drawn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "rate-limit-forgotten"
    assert not any(MUTANTS[name].needs(draw("short", seed)) for seed in range(1, 61))

    assert search_mutants(_wanted(name, first=1, seeds=60)) == 1

    assert "NOT FOUND in 60 seeds, 0 of them run" in capsys.readouterr().out


@pytest.mark.slow
def test_a_search_ends_at_the_first_seed_that_shows_the_defect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert search_mutants(_wanted("entry-in-first-cycle", first=1, seeds=3)) == 0

    told = capsys.readouterr()
    assert "found after     1 seeds,    1 of them run, seed 1: I13b" in told.out
    assert told.out.endswith("mutants 1, found 1\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("entry-in-first-cycle", "I13b"),
        ("alert-after-transition", "I20b"),
        ("jsonl-only", "I19"),
        ("no-fence", "I06"),
    ],
)
def test_a_defect_is_found_by_the_invariant_it_breaks(
    quiet_plan: RunPlan, name: str, broken: str
) -> None:
    lost = Fault(
        id="order-lost",
        what=DropRequest(target="rest", then="close"),
        match=Match(method="POST", path="/api/v3/order*"),
        when=When(nth=1),
    )
    plan = quiet_plan if name != "no-fence" else replace(quiet_plan, faults=(lost,))

    assert broken in look_at(MUTANTS[name], plan).broken
