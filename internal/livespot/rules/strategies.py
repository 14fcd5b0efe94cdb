"""The registry of strategies, by id and version."""

import difflib
from collections.abc import Mapping

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.settings import Settings
from livespot.rules.pullback import PullbackMaker
from livespot.rules.strategy import Strategy

Registry = Mapping[tuple[str, str], Strategy]

_DEFAULT = PullbackMaker()

STRATEGIES: Registry = {(_DEFAULT.id, _DEFAULT.version): _DEFAULT}
"""The strategies that ship with the program; one of your own comes from `strategy.file`."""


def strategy_for(settings: Settings, registry: Registry = STRATEGIES) -> Strategy:
    """The configured strategy; raises `ConfigInvalid` when it is not registered."""
    name, version = settings.strategy.id, settings.strategy.version
    found = registry.get((name, version))
    if found is None:
        raise ConfigInvalid([_refusal(name, version, registry)])
    return found


def _refusal(name: str, version: str, registry: Registry) -> str:
    """What is wrong with the id and version, and what would be right."""
    known = ", ".join(f"{known} {of}" for known, of in sorted(registry))
    versions = sorted(of for known, of in registry if known == name)
    if versions:
        return f"strategy.version = {version!r}: {name} is registered as {', '.join(versions)}"
    close = difflib.get_close_matches(name, sorted({known for known, _ in registry}), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"strategy.id = {name!r}: not registered{hint} (registered: {known})"
