"""Reads the configuration file a command or a run means."""

from pathlib import Path

from livespot.contracts.errors import ConfigInvalid
from livespot.runtime.config import LoadedSettings, load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.strategy_file import chosen_strategy


def load_config(paths: Paths, config_path: Path | None) -> LoadedSettings:
    """The named file, else the state directory's own, else the defaults.

    Raises `ConfigInvalid` for a named file that cannot be read, for everything wrong in it, and for
    a strategy that is not there.
    """
    path = config_path if config_path is not None else paths.config
    if config_path is None and not path.is_file():
        return load_settings(None, path=str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid([f"{path}: cannot be read: {error}"]) from error
    loaded = load_settings(text, path=str(path))
    chosen_strategy(loaded.settings)
    return loaded
