"""The hashes that say under which settings something was decided."""

from functools import lru_cache

from livespot.contracts.canonical import hash_of
from livespot.contracts.market import Constraints
from livespot.contracts.settings import Settings


def config_hash(settings: Settings) -> str:
    """Hash of the whole configuration."""
    return hash_of(settings)


def thresholds_hash(settings: Settings) -> str:
    """Hash of the sections a strategy's verdict depends on."""
    return hash_of(
        {
            "strategy": settings.strategy,
            "entry": settings.entry,
            "exit": settings.exit,
            "selection": settings.selection,
            "adaptive": settings.adaptive,
            "risk": settings.risk,
        }
    )


def constraints_hash(constraints: Constraints) -> str:
    """Hash of a symbol's constraints, filters included."""
    return _hash_of_this(_This(constraints))


class _This:
    """One very object: equal constraints may spell their numbers differently and hash apart."""

    __slots__ = ("constraints",)

    def __init__(self, constraints: Constraints) -> None:
        self.constraints = constraints

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _This) and self.constraints is other.constraints

    def __hash__(self) -> int:
        return id(self.constraints)


@lru_cache(maxsize=512)
def _hash_of_this(this: _This) -> str:
    return hash_of(this.constraints)
