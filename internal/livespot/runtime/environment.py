"""The environment seam: the three secrets are read once, and no child process inherits them."""

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.secret import Secret

NAMES = ("BINANCE_API_KEY", "BINANCE_API_SECRET", "OPENAI_API_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the environment carried; an absent one is an empty `Secret`, which is false."""

    binance_api_key: Secret
    binance_api_secret: Secret
    openai_api_key: Secret

    def missing(self) -> tuple[str, ...]:
        """Names of the variables that are not set."""
        values = (self.binance_api_key, self.binance_api_secret, self.openai_api_key)
        return tuple(name for name, value in zip(NAMES, values, strict=True) if not value)

    def all(self) -> tuple[Secret, ...]:
        """Every secret that is set, for the masking filters."""
        values = (self.binance_api_key, self.binance_api_secret, self.openai_api_key)
        return tuple(value for value in values if value)


def read_secrets(dotenv: Path) -> Secrets:
    """Read the three variables, the environment before the `.env` file, and forget the originals.

    `BINANCE_API_SECRET` may name a PEM file; its text is then the secret. Raises `ConfigInvalid`
    for a `.env` or key file that others can read, that cannot be read or (a key) does not exist,
    never quoting what is in it.
    """
    from_file = _read_dotenv(dotenv)
    values: dict[str, str] = {}
    for name in NAMES:
        value = os.environ.pop(name, None)
        values[name] = value if value is not None else (from_file.get(name) or "")
    return Secrets(
        binance_api_key=Secret(values["BINANCE_API_KEY"].strip()),
        binance_api_secret=Secret(_key_text(values["BINANCE_API_SECRET"].strip())),
        openai_api_key=Secret(values["OPENAI_API_KEY"].strip()),
    )


def environment_of_a_child() -> dict[str, str]:
    """What a process we start may inherit: everything except the three secrets."""
    return {name: value for name, value in os.environ.items() if name not in NAMES}


def _read_dotenv(path: Path) -> dict[str, str | None]:
    if not path.is_file():
        return {}
    return dotenv_values(stream=io.StringIO(_private_text(path, "utf-8")), interpolate=False)


def _key_text(value: str) -> str:
    # No HMAC secret has this ending; taken for one, a mistyped path would sign every request.
    if not value.endswith(".pem"):
        return value
    path = Path(value)
    if not path.is_file():
        raise ConfigInvalid(["BINANCE_API_SECRET names a .pem file that does not exist"])
    return _private_text(path, "ascii")


def _private_text(path: Path, encoding: str) -> str:
    _require_private(path)
    try:
        return path.read_text(encoding=encoding)
    except OSError as error:
        raise ConfigInvalid([f"{path.name} cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError:
        # That error holds and quotes the file's bytes, so it is not passed on.
        raise ConfigInvalid([f"{path.name} is not {encoding} text"]) from None


def _require_private(path: Path) -> None:
    # Windows has no such bits; there the file's owner is the protection.
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigInvalid([f"{path.name} can be read by other users; run: chmod 600 {path.name}"])
