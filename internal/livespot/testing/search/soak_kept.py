"""What a finished soak stores beside its records, so that it can be judged again."""

from pathlib import Path

import msgspec

from livespot.contracts.errors import ExitCode
from livespot.runtime.paths import Paths
from livespot.runtime.replay_run import Lived, RunResult
from livespot.testing.search.soak_plan import SoakPlan, draw_soak

SOAK_FILE = "soak.json"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The plan by its seed and span, how its lives went, and what no file shows.

    `files_before` and `files_after` are the descriptors this process held before and after the run.
    """

    seed: int
    span_ms: int
    lives: tuple[Lived, ...]
    exit_code: ExitCode
    last_hash: str
    points: int
    virtual_ms: int
    cpu_ms: int
    files_before: int
    files_after: int

    @property
    def plan(self) -> SoakPlan:
        return draw_soak(self.seed, self.span_ms)

    def result(self, directory: Path) -> RunResult:
        """As the run itself returned it, but for what no check of a soak reads."""
        paths = Paths(var=directory)
        return RunResult(
            exit_code=self.exit_code,
            run_ids=tuple(life.run_id for life in self.lives),
            lives=self.lives,
            database=paths.database,
            logs=paths.logs,
            journal=paths.exchange_journal,
            last_hash=self.last_hash,
            alerts=(),
            commits=(),
            points=self.points,
            points_of=(),
            virtual_ms=self.virtual_ms,
            cpu_ms=self.cpu_ms,
        )


def kept_of(plan: SoakPlan, result: RunResult, *, files_before: int, files_after: int) -> Kept:
    """What is to be kept of a run that has just ended."""
    return Kept(
        seed=plan.run.seed,
        span_ms=plan.run.safety_ms,
        lives=result.lives,
        exit_code=result.exit_code,
        last_hash=result.last_hash,
        points=result.points,
        virtual_ms=result.virtual_ms,
        cpu_ms=result.cpu_ms,
        files_before=files_before,
        files_after=files_after,
    )


def keep(kept: Kept, directory: Path) -> None:
    """Write it beside the records."""
    (directory / SOAK_FILE).write_bytes(msgspec.json.encode(kept) + b"\n")


def read_kept(directory: Path) -> Kept:
    """Raises `OSError` where no soak ended there, and `msgspec.DecodeError`."""
    return msgspec.json.decode((directory / SOAK_FILE).read_bytes(), type=Kept)
