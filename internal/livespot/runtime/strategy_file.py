"""Loads a user's own strategy from the file that the configuration names and pins by its hash."""

import hashlib
import sys
from pathlib import Path
from types import ModuleType

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.settings import Settings
from livespot.rules.strategies import STRATEGIES, strategy_for
from livespot.rules.strategy import Strategy
from livespot.runtime.paths import project_root

_OBJECT = "STRATEGY"
# Errors of a module that is not valid Python, or that does not run here.
_BROKEN = (SyntaxError, ImportError, NameError, AttributeError, TypeError, ValueError)


def chosen_strategy(settings: Settings) -> Strategy:
    """Return the configured strategy, from the user's file if one is named.

    The file is executed only when its SHA-256 is the one in the configuration. So the hash of the
    configuration also identifies the code that decides.

    Raises:
        ConfigInvalid: there is no such strategy, or the file is not the one configured.
    """
    if not settings.strategy.file:
        if settings.strategy.file_sha256:
            raise ConfigInvalid(["strategy.file_sha256 is set, but strategy.file names no file"])
        return strategy_for(settings)
    path = project_root() / settings.strategy.file
    own = _strategy_of(_module(path, settings.strategy.file_sha256), path)
    key = (own.id, own.version)
    if key in STRATEGIES:
        raise _refused(f"{path} calls itself {own.id} {own.version}, which ships with livespot")
    return strategy_for(settings, {**STRATEGIES, key: own})


def _module(path: Path, wanted: str) -> ModuleType:
    """Execute the file, once for each content however often it is asked for."""
    name = f"livespot_strategy_{wanted}"
    if name in sys.modules:
        return sys.modules[name]
    try:
        source = path.read_bytes()
    except OSError as error:
        raise _refused(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(source).hexdigest()
    if found != wanted:
        rule = "read the file, then set strategy.file_sha256 to this value"
        raise _refused(f"{path} has the SHA-256 {found!r}, not {wanted!r}; {rule}")
    module = ModuleType(name, f"The strategy in {path}.")
    module.__file__ = str(path)
    # Registered as an import would, since dataclasses look their module up by name.
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102  # the pinned file
    except _BROKEN as error:
        del sys.modules[name]
        raise _refused(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _strategy_of(module: ModuleType, path: Path) -> Strategy:
    """Return the module's `STRATEGY`, checked to have everything that the runtime calls."""
    own = getattr(module, _OBJECT, None)
    if own is None:
        raise _refused(f"{path} defines no {_OBJECT}")
    texts = [name for name in ("id", "version") if not _is_text(getattr(own, name, None))]
    rules = [name for name in ("propose", "reevaluate") if not callable(getattr(own, name, None))]
    if texts or rules:
        lacks = ", ".join([*(f"text {name!r}" for name in texts), *(f"{n}()" for n in rules)])
        raise _refused(f"{_OBJECT} of {path} lacks {lacks}")
    strategy: Strategy = own
    return strategy


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _refused(problem: str) -> ConfigInvalid:
    return ConfigInvalid([f"strategy.file: {problem}"])
