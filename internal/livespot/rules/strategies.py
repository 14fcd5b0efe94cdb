"""The registry of strategies, by id and version.

A strategy of your own is one file with an object that fits `Strategy`, and one line here. Nothing
else has to know it.
"""

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.settings import Settings
from livespot.rules.pullback import PullbackMaker
from livespot.rules.strategy import Strategy

_DEFAULT = PullbackMaker()

STRATEGIES: dict[tuple[str, str], Strategy] = {(_DEFAULT.id, _DEFAULT.version): _DEFAULT}


def strategy_for(settings: Settings) -> Strategy:
    """The configured strategy; raises `ConfigInvalid` when it is not registered."""
    wanted = (settings.strategy.id, settings.strategy.version)
    found = STRATEGIES.get(wanted)
    if found is None:
        known = ", ".join(f"{name} {version}" for name, version in sorted(STRATEGIES))
        raise ConfigInvalid([f"strategy.id={wanted!r}: unknown; known are {known}"])
    return found
