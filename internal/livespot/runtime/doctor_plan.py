"""What a doctor checks, and how one check becomes a row whatever happens."""

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from livespot.contracts.errors import LivespotError, Refused
from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.transport import HttpTransport, SocketTransport
from livespot.rules.doctor import Check, Outcome
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import Disk
from livespot.runtime.environment import Secrets
from livespot.runtime.paths import Paths, default_var, prompts_directory
from livespot.venue.signing import Signer


class Need(Enum):
    """A group of checks."""

    LOCAL = "local"
    NETWORK = "network"
    ACCOUNT = "account"
    GATE = "gate"


EVERYTHING = frozenset(Need)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorPlan:
    """Everything that a doctor may use. `clock` is the exchange's market time.

    `speed` is the number of market seconds per machine second; deadlines are scaled by it, so that
    a healthy answer does not look late. A run that itself holds the instance lock or serves the
    panel switches off `check_instance` and `check_port`. A run that sends no real order switches
    off `check_live_lock` (and the crash drills), one that starts from nothing `check_standing`.
    """

    paths: Paths
    loaded: LoadedSettings
    secrets: Secrets
    signer: Signer | None
    clock: Clock
    http: HttpTransport
    sockets: SocketTransport
    disk: Disk
    needs: frozenset[Need] = EVERYTHING
    check_port: bool = True
    check_instance: bool = True
    check_live_lock: bool = True
    check_standing: bool = True
    speed: int = 1
    prompts: Path = field(default_factory=prompts_directory)

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    def command(self, text: str) -> str:
        """Return a command of ours, with `--var` where it would otherwise use another directory."""
        if self.paths.var == default_var():
            return text
        return f"{text} --var {quoted(self.paths.var)}"

    @property
    def migrate_command(self) -> str:
        return f"livespot migrate --db {quoted(self.paths.database)}"


Rows: TypeAlias = Check | tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One check. `remedy` is the command to show when it fails without naming one itself.

    `on_error` is the outcome of such a failure; `seconds` is the limit, in machine time.
    """

    id: str
    title: str
    look: Callable[[], Awaitable[Rows]]
    remedy: str = ""
    seconds: float = 6.0
    on_error: Outcome = Outcome.FAIL


async def looked_at(probe: Probe, plan: DoctorPlan) -> tuple[Check, ...]:
    """Run one check and return its rows; an expected error becomes a row as well."""
    try:
        with plan.clock.fail_after(probe.seconds * plan.speed):
            rows = await probe.look()
    except TimeoutError:
        return (_failed(probe, f"nothing within {probe.seconds:g} s"),)
    except Refused as error:
        return (_failed(probe, str(error) if error.code else error.message),)
    except LivespotError as error:
        return (_failed(probe, str(error)),)
    except OSError as error:
        return (_failed(probe, error.strerror or type(error).__name__),)
    return rows if isinstance(rows, tuple) else (rows,)


def not_looked_at(probe: Probe, why: str) -> Check:
    """Return the failing row of a check that could not be run."""
    return Check(
        id=probe.id,
        title=probe.title,
        outcome=Outcome.FAIL,
        measured="not looked at",
        detail=why,
    )


def quoted(path: Path) -> str:
    """Return a path, quoted for a shell."""
    return shlex.quote(str(path))


def _failed(probe: Probe, cause: str) -> Check:
    return Check(
        id=probe.id,
        title=probe.title,
        outcome=probe.on_error,
        measured="failed",
        next_command=probe.remedy,
        detail=cause,
    )
