"""The hashes that say under which settings something was decided."""

from functools import lru_cache

from livespot.contracts.canonical import Same, hash_of
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
    return _constraints_hash_of(Same(constraints))


@lru_cache(maxsize=512)
def _constraints_hash_of(constraints: Same) -> str:
    return hash_of(constraints.value)
