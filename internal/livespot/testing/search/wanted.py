"""What somebody asked the search for on the command line."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command's options. With `seed_only` or `plan` one run is made, whatever the profile."""

    profile: str
    first: int
    seeds: int
    jobs: int
    seed_only: int | None
    plan: Path | None
    keep: Path | None
    shrink: bool
    coverage: bool
