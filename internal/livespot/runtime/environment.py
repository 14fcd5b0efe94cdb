"""The environment seam: secrets are read once and no child process inherits them."""

import io
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.secret import Secret
from livespot.contracts.settings import AlertSettings
from livespot.rules.alert_webhook import address_problem, hidden_parts
from livespot.runtime.core_dumps import forbid_core_dumps

NAMES = ("BINANCE_API_KEY", "BINANCE_API_SECRET", "OPENAI_API_KEY")
_NOTIFY = "NOTIFY_SOCKET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of this process. A missing one is an empty `Secret`, which is falsy.

    `webhook` is the address that alerts go to, read from a private file of its own.
    """

    binance_api_key: Secret
    binance_api_secret: Secret
    openai_api_key: Secret
    webhook: Secret = field(default_factory=lambda: Secret(""))

    @classmethod
    def none(cls, *, webhook: Secret) -> "Secrets":
        """Return secrets without any key."""
        empty = Secret("")
        return cls(
            binance_api_key=empty,
            binance_api_secret=empty,
            openai_api_key=empty,
            webhook=webhook,
        )

    def missing(self) -> tuple[str, ...]:
        """Return the names of the variables that are not set."""
        values = (self.binance_api_key, self.binance_api_secret, self.openai_api_key)
        return tuple(name for name, value in zip(NAMES, values, strict=True) if not value)

    def all(self) -> tuple[Secret, ...]:
        """Return what must be masked: each secret, and the revealing parts of the webhook."""
        values = (self.binance_api_key, self.binance_api_secret, self.openai_api_key)
        parts = hidden_parts(self.webhook.reveal()) if self.webhook else ()
        return (*(value for value in values if value), *(Secret(part) for part in parts))


def read_secrets(dotenv: Path) -> Secrets:
    """Read the three secrets, environment before `.env`, and remove them from the environment.

    `BINANCE_API_SECRET` may be the path of a PEM file, whose text then is the secret. Raises
    `ConfigInvalid`, never quoting any content, for a `.env` or key file that other users can read
    or that cannot be read, and for a missing key file.
    """
    forbid_core_dumps()
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


def take_notify_address() -> str:
    """Take the service manager's socket address from the environment; empty without one."""
    return os.environ.pop(_NOTIFY, "")


def webhook_file(settings: AlertSettings, beside: Path) -> Path:
    """Return where the webhook's address is kept; `beside` is the path of the `.env` file."""
    return beside.parent / Path(settings.webhook).expanduser()


def read_webhook(settings: AlertSettings, beside: Path) -> Secret:
    """Return the address in the file that `alerts.webhook` names; empty when it names none.

    A relative name is resolved beside the `.env` file. Raises `ConfigInvalid`, never quoting the
    content, for a file that is missing, readable by other users, or without a usable address.
    """
    if not settings.webhook:
        return Secret("")
    path = webhook_file(settings, beside)
    if not path.is_file():
        raise ConfigInvalid([f"alerts.webhook names {path}, which is no file"])
    address = _private_text(path, "ascii").strip()
    problem = address_problem(settings.webhook_shape, address)
    if problem:
        raise ConfigInvalid([f"the file alerts.webhook names ({path.name}) {problem}"])
    return Secret(address)


def environment_of_a_child() -> dict[str, str]:
    """Return a child's environment: ours without secrets and the service manager's socket."""
    return {name: value for name, value in os.environ.items() if name not in (*NAMES, _NOTIFY)}


def _read_dotenv(path: Path) -> dict[str, str | None]:
    if not path.is_file():
        return {}
    return dotenv_values(stream=io.StringIO(_private_text(path, "utf-8")), interpolate=False)


def _key_text(value: str) -> str:
    # No HMAC secret ends in .pem. Taken for one, a mistyped path would sign every request.
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
        # The original error holds the file's bytes; it must not be chained.
        raise ConfigInvalid([f"{path.name} is not {encoding} text"]) from None


def _require_private(path: Path) -> None:
    # Windows has no such bits; there the file's owner protects it.
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigInvalid([f"{path.name} can be read by other users; run: chmod 600 {path.name}"])
