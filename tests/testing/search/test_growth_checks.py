"""A queue over its bound, a task that outlives its life and a file left open are found."""

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from livespot.runtime.replay_loop import LIFE, VirtualLoop
from livespot.testing.search.gauges import GAUGES_FILE, measured, read_gauges
from livespot.testing.search.growth_checks import (
    collections_stay_small,
    log_stays_small,
    no_task_outlives_its_life,
    nothing_is_left_open,
    queues_are_bounded,
)
from livespot.testing.search.running import open_files
from livespot.testing.search.stage import StagePlan
from livespot.testing.search.witness import Witness


def test_a_mailbox_that_held_more_than_it_may_is_found(witness: Witness) -> None:
    sample = witness.samples[-1]
    box = {**sample["mailboxes"][0], "high_water": sample["mailboxes"][0]["capacity"] + 1}
    full = replace(witness, samples=(*witness.samples, {**sample, "mailboxes": [box]}))

    assert queues_are_bounded(witness).proven
    assert f"mailbox {box['name']} held {box['high_water']}" in queues_are_bounded(full).detail


def test_a_writer_with_too_much_before_it_is_found(witness: Witness) -> None:
    deep = {**witness.samples[-1], "writer_depth": witness.writer_capacity + 1}

    assert queues_are_bounded(replace(witness, samples=(deep,))).violated


def test_a_task_that_outlives_its_life_is_found(witness: Witness) -> None:
    left = replace(witness.lives[-1], tasks_left=2)

    assert no_task_outlives_its_life(witness).proven
    found = no_task_outlives_its_life(replace(witness, lives=(*witness.lives[:-1], left)))
    assert "2 tasks" in found.detail


def test_tasks_are_counted_by_the_life_that_started_them() -> None:
    loop = VirtualLoop()

    async def sleeper() -> None:
        await loop.create_future()

    async def main() -> tuple[int, int]:
        token = LIFE.set(3)
        task = loop.create_task(sleeper())
        LIFE.reset(token)
        counted = loop.tasks_of(3), loop.tasks_of(4)
        task.cancel()
        return counted

    assert loop.run_until_complete(main()) == (1, 0)
    loop.close()


def test_descriptors_left_open_are_found() -> None:
    assert open_files() > 0
    assert nothing_is_left_open(10, 11).holds
    assert nothing_is_left_open(10, 20).violated


def reading(witness: Witness, **measured: Any) -> Witness:
    """The run with one more look at the end of its first life."""
    return replace(witness, gauges=(*witness.gauges, changed(witness.gauges[0], **measured)))


def test_a_log_that_nobody_empties_is_found(witness: Witness) -> None:
    assert log_stays_small(witness).proven
    assert "9000000 bytes" in log_stays_small(reading(witness, wal_bytes=9_000_000)).detail


def test_a_collection_that_grows_on_in_quiet_times_is_found(witness: Witness) -> None:
    first = witness.gauges[0]
    boundless = {name: size for name, size in first.sizes.items() if name not in first.bounds}
    name, size = max(boundless.items(), key=lambda item: item[1])
    grown = reading(witness, sizes={**first.sizes, name: size + 201})
    less = reading(witness, sizes={**first.sizes, name: size + 200})

    assert collections_stay_small(witness).proven
    assert f"{name} holds {size + 201}" in collections_stay_small(grown).detail
    assert collections_stay_small(less).proven


@pytest.mark.parametrize(("bound", "found"), [(512, False), (5000, False), (5001, True)])
def test_what_fills_up_to_a_small_bound_of_its_own_is_no_growth(
    witness: Witness, bound: int, *, found: bool
) -> None:
    first = witness.gauges[0]
    early = changed(first, sizes={"Planted.window": 44})
    filled = changed(first, sizes={"Planted.window": 265}, bounds={"Planted.window": bound})

    assert collections_stay_small(replace(witness, gauges=(early, filled))).violated is found


def test_a_huge_collection_is_found_and_what_a_later_life_holds_is_no_growth(
    witness: Witness,
) -> None:
    first = witness.gauges[0]
    huge = reading(witness, sizes={"Planted.rows": 5001})
    later = reading(witness, life=first.life + 1, sizes={"Planted.rows": 4000})

    assert "Planted.rows holds 5001" in collections_stay_small(huge).detail
    assert collections_stay_small(later).proven


def test_what_the_actors_keep_is_measured(witness: Witness) -> None:
    names = {name for reading in witness.gauges for name in reading.sizes}

    # In members, in what a running function holds, and behind what it awaits.
    assert {"CandleSeries._candles", "OrderTracker._aliases", "LimitsKeeper.run.told"} <= names
    assert not any(name.startswith(("MarketHub", "VirtualLoop")) for name in names)


def test_sizes_are_of_the_largest_of_a_name_and_of_what_is_ours(tmp_path: Path) -> None:
    rows = {"a": list(range(300)), "b": [1]}

    assert measured([("kept", rows)]) == ({"kept": 2, "kept[]": 300}, {})
    assert measured([("plan", StagePlan(seed=1, end_ms=1, symbols=()))]) == ({}, {})
    assert read_gauges(tmp_path / GAUGES_FILE) == ()


def test_a_name_is_bounded_where_every_collection_of_it_is() -> None:
    windows = [deque([1, 2], maxlen=60), deque([3], maxlen=512)]
    mixed = [deque([1], maxlen=60), deque([2])]

    assert measured([("windows", windows)])[1] == {"windows[]": 512}
    assert measured([("mixed", mixed)])[1] == {}
