"""The processes that run seeds."""

import multiprocessing
import os
import sys

from livespot.testing.search.workers import workers


def what_is_here() -> tuple[int, bool]:
    """Which process this is, and whether the program was loaded before it began to work."""
    return os.getpid(), "livespot.testing.search.running" in sys.modules


def test_each_process_begins_with_the_program_loaded_and_ends_after_its_runs() -> None:
    with workers(1, 2) as pool:
        told = [pool.submit(what_is_here).result() for _ in range(4)]

    first, again, next_one, last = (number for number, _ in told)
    assert first == again
    assert next_one == last
    assert len({first, next_one, os.getpid()}) == 3
    if "forkserver" in multiprocessing.get_all_start_methods():
        assert all(loaded for _, loaded in told)
