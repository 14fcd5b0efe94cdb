"""The hashes of the settings under which something was decided."""

from livespot.contracts.canonical import hash_of, once_per_object
from livespot.contracts.market import Constraints
from livespot.contracts.settings import Settings


def config_hash(settings: Settings) -> str:
    """Hash of the whole configuration."""
    return hash_of(settings)


def thresholds_hash(settings: Settings) -> str:
    """Hash of the sections on which a strategy's verdict depends."""
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


@once_per_object(512)
def constraints_hash(constraints: Constraints) -> str:
    """Hash of a symbol's constraints, filters included."""
    return hash_of(constraints)
