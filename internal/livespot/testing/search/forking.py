"""Runs a scenario once and lets a copy of the process die at each point, sharing the run-up."""

import multiprocessing
import os
import shutil
import sys
import time
import traceback
from asyncio import _set_running_loop
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec

from livespot.runtime.replay_course import Death
from livespot.testing.search.dying import DOWN_MS, NEVER_MS, Died, KillPoint, Stage, die_at, died
from livespot.testing.search.kill_scenarios import Scenario

# Needs a kernel that lists the files a process holds open.
CAN_FORK = sys.platform == "linux"
_DESCRIPTORS = Path("/proc/self/fd")
# Files that exchange and log hold open. The database's belong to the process that opened it.
_HELD_OPEN = (".jsonl", ".log")
_RUN = Path("run")


class Lost(RuntimeError):
    """A copy ended without a result: the harness is broken, or the machine is full."""


@dataclass(slots=True, kw_only=True)
class Forker:
    """Called at each point of the mortal life; at a chosen one a copy of the process dies there.

    All files are below the working directory; each copy changes to a copy of it.
    """

    stage: Stage
    chosen: Sequence[KillPoint]
    scratch: Path
    copied: KillPoint | None = None
    _by_point: dict[int, list[KillPoint]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for point in self.chosen:
            self._by_point.setdefault(point.point, []).append(point)

    def due(self, passed: int) -> bool:
        """Return False in the original process; in a copy, True, once."""
        for point in self._by_point.get(passed, ()):
            if os.fork() == 0:
                self.copied = point
                self._settle_apart(point)
                return True
            _, status = os.wait()
            if status:
                raise Lost(f"{point} ended with {status}")
        self._by_point.pop(passed, None)
        if not self._by_point:
            os._exit(0)
        return False

    def cancels(self) -> bool:
        """Whether the life that ends here is cancelled rather than killed."""
        return self.copied is not None and self.copied.cancelled

    def _settle_apart(self, point: KillPoint) -> None:
        """Go on with files of its own, while the original process waits."""
        old = Path.cwd()
        new = self.scratch / f"{point.point}-{point.manner}"
        shutil.copytree(old, new, ignore=shutil.ignore_patterns("*-shm"))
        _reopen(old, new)
        os.chdir(new)
        # asyncio takes the copy for a process that runs no loop.
        _set_running_loop(self.stage.loop)
        self.stage.machine.forsake()
        self.stage.machine.failing = point.power_cut


def _reopen(old: Path, new: Path) -> None:
    """Let the descriptors of copied files refer to the copies, at the same offset."""
    for entry in list(_DESCRIPTORS.iterdir()):
        number = int(entry.name)
        try:
            target = Path(os.readlink(entry))
        except OSError:
            # The descriptor of this listing itself.
            continue
        if not target.is_relative_to(old) or target.suffix not in _HELD_OPEN:
            continue
        place = os.lseek(number, 0, os.SEEK_CUR)
        mine = os.open(new / target.relative_to(old), os.O_WRONLY)
        os.lseek(mine, place, os.SEEK_SET)
        os.dup2(mine, number)
        os.close(mine)


def end_everywhere(
    scenario: Scenario, chosen: Sequence[KillPoint], scratch: Path, jobs: int
) -> Iterator[Died]:
    """Every end of these, judged, by copies where the platform can copy. Raises `Lost`."""
    if CAN_FORK:
        yield from die_everywhere(scenario, chosen, scratch, jobs)
        return
    for point in chosen:
        yield die_at(point, scenario, scratch / "again")


def die_everywhere(
    scenario: Scenario, chosen: Sequence[KillPoint], scratch: Path, jobs: int
) -> Iterator[Died]:
    """Every death of these, judged, as they are done. Raises `Lost`."""
    context = multiprocessing.get_context("fork")
    heard: list[Connection] = []
    runners = []
    for number in range(min(jobs, len(chosen))):
        hear, say = context.Pipe(duplex=False)
        directory = scratch / f"{scenario.name}-{number}"
        share = chosen[number::jobs]
        runner = context.Process(target=_run, args=(scenario, share, directory, say))
        runner.start()
        say.close()
        heard.append(hear)
        runners.append(runner)
    told = 0
    while heard:
        waiting = wait(heard)
        for hear in [hear for hear in heard if hear in waiting]:
            said = _next(hear)
            if said is None:
                heard.remove(hear)
            else:
                told += 1
                yield said
    for runner in runners:
        runner.join()
    if told != len(chosen):
        raise Lost(f"{scenario.name}: {len(chosen) - told} of {len(chosen)} deaths were not judged")


def _next(hear: Connection) -> Died | None:
    """The next death told, or None after the last."""
    try:
        return msgspec.json.decode(hear.recv_bytes(), type=Died)
    except EOFError:
        return None


def _run(scenario: Scenario, chosen: Sequence[KillPoint], directory: Path, say: Connection) -> None:
    """A process of its own; it and its copies leave without cleaning up after the others."""
    try:
        (directory / _RUN).mkdir(parents=True)
        os.chdir(directory / _RUN)
        stage = Stage(scenario=scenario)
        forker = Forker(stage=stage, chosen=chosen, scratch=directory)
        # Whether the power fails, or the life is cancelled, is decided where the copy is made.
        last = Death(
            due=forker.due,
            after_ms=NEVER_MS,
            down_ms=DOWN_MS,
            power_cut=True,
            cancels=forker.cancels,
        )
        order = stage.order(Path(), last)
        found = died(scenario, lambda: forker.copied, order)
        if found is not None:
            cpu_ms = time.process_time_ns() // 1_000_000
            outcome = msgspec.structs.replace(found.outcome, cpu_ms=cpu_ms)
            say.send_bytes(msgspec.json.encode(msgspec.structs.replace(found, outcome=outcome)))
            shutil.rmtree(Path.cwd())
    except BaseException:  # noqa: BLE001  whatever it is, it must not go on as the process it was copied from
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
