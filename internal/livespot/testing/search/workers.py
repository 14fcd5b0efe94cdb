"""The processes that run seeds: each starts with the program loaded and is replaced regularly."""

import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext

_LOADED = "livespot.testing.search.running"


def workers(jobs: int, runs_each: int) -> ProcessPoolExecutor:
    """A pool of so many processes; each ends after so many runs and another takes its place.

    What the program is made of is there for good: no collection of garbage looks through it.
    """
    return ProcessPoolExecutor(
        jobs, mp_context=_context(), initializer=gc.freeze, max_tasks_per_child=runs_each
    )


def _context() -> BaseContext:
    """Where the platform can, processes are forked from one that has but imported the program.

    Importing it anew in each costs as much as a run.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_LOADED])
    return context
