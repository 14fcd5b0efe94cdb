"""A queue over its bound, a task that outlives its life and a file left open are found."""

from dataclasses import replace

from livespot.runtime.replay_loop import LIFE, VirtualLoop
from livespot.testing.search.growth_checks import (
    no_task_outlives_its_life,
    nothing_is_left_open,
    queues_are_bounded,
)
from livespot.testing.search.running import open_files
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
