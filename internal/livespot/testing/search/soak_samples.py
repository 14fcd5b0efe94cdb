"""What a soak measures of its process and of the runtime in it, one line per simulated hour."""

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from livespot.runtime.paths import Paths
from livespot.runtime.replay_loop import VirtualLoop
from livespot.runtime.system import System

SAMPLES_FILE = "soak-samples.jsonl"


class SoakSample(msgspec.Struct, frozen=True, kw_only=True):
    """One reading. `at_ms` counts from the soak's beginning, `age_ms` from the life's own.

    `tasks` are those of the life, `others` all the rest, of dead lives and of the exchange;
    `timers` are set and not cancelled. `queues` holds the most each mailbox of this life ever
    held. `var_bytes` is everything below the state directory, the exchange's journal left out.
    """

    at_ms: int
    life: int
    age_ms: int
    cpu_ms: int
    rss_bytes: int
    objects: int
    tasks: int
    others: int
    timers: int
    descriptors: int
    queues: dict[str, int]
    database_bytes: int
    wal_bytes: int
    var_bytes: int
    journal_bytes: int


def take(
    paths: Paths, loop: VirtualLoop, system: System | None, *, life: int, at_ms: int, age_ms: int
) -> SoakSample:
    """Read everything now, after a collection: what is left is held by somebody."""
    gc.collect()
    process = psutil.Process()
    with process.oneshot():
        rss_bytes = process.memory_info().rss
        times = process.cpu_times()
    tasks = loop.tasks_of(life)
    boxes = system.house.wires.measured() if system is not None else ()
    database = paths.database
    journal_bytes = size_of(paths.exchange_journal)
    return SoakSample(
        at_ms=at_ms,
        life=life,
        age_ms=age_ms,
        cpu_ms=round((times.user + times.system) * 1000),
        rss_bytes=rss_bytes,
        objects=len(gc.get_objects()),
        tasks=tasks,
        others=len(asyncio.all_tasks(loop)) - tasks,
        timers=loop.timers - loop.stale,
        descriptors=process.num_fds() if hasattr(process, "num_fds") else 0,
        queues={box.name: box.stats().high_water for box in boxes},
        database_bytes=size_of(database),
        wal_bytes=size_of(database.with_name(f"{database.name}-wal")),
        var_bytes=_below(paths.var) - journal_bytes,
        journal_bytes=journal_bytes,
    )


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _below(directory: Path) -> int:
    return sum(
        size_of(Path(folder) / name) for folder, _, names in os.walk(directory) for name in names
    )


def writer(path: Path) -> Callable[[SoakSample], None]:
    """Appends each sample to a file as it is taken; nothing is kept in memory."""

    def write(sample: SoakSample) -> None:
        with path.open("ab") as file:
            file.write(msgspec.json.encode(sample) + b"\n")

    return write


def read_samples(path: Path) -> tuple[SoakSample, ...]:
    """Raises `OSError` and `msgspec.DecodeError`."""
    lines = path.read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=SoakSample) for line in lines)
