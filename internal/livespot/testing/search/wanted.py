"""The options of the search command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command's options. With `seed_only` or `plan` one run is made, in any profile.

    `scenario` (all, if empty), `at`, `stride`, `point`, `power_cut` and `cancelled` are for the
    profile that kills, for which `first` is the first point of each scenario. `only` names mutants.
    `days` is the length of a soak in market time; `judge` holds the files of a finished one, to be
    judged again.
    """

    profile: str
    first: int
    seeds: int
    jobs: int
    seed_only: int | None
    plan: Path | None
    keep: Path | None
    shrink: bool
    coverage: bool
    complete: bool = False
    scenario: tuple[str, ...] = ()
    at: Literal["every", "commits"] = "every"
    stride: int = 1
    point: int | None = None
    power_cut: bool = False
    cancelled: bool = False
    only: tuple[str, ...] = ()
    days: int = 30
    judge: Path | None = None
