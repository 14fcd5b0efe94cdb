"""How an expected error ends a command: cause, consequence, next step and exit code."""

from pathlib import Path

import click

from livespot.contracts import errors
from livespot.contracts.errors import ExitCode, Fatal, LivespotError
from livespot_cmd.options import name_code

_MEND = "correct what is named above, then look again with livespot config check"
_BACK = "livespot doctor --offline, which names the backup to restore"
_NO_SET = (
    "Nothing was started.",
    "livespot exchange --data list names the sets, livespot data check looks at one of yours",
)
# From the specific to the general; the first entry that fits is used.
_TOLD: tuple[tuple[type[LivespotError], str, str], ...] = (
    (errors.ConfigInvalid, "Nothing was started or changed.", _MEND),
    (errors.SecondInstance, "Nothing was started; the other one goes on.", "livespot status"),
    (errors.LockMissing, "Nothing was sent to anybody.", "livespot doctor --offline"),
    (errors.SchemaMismatch, "Nothing was read or written.", "livespot migrate --status"),
    (errors.DatabaseDamaged, "Nothing was changed; do not trade on this file.", _BACK),
    (errors.AuditUnwritable, "Without its audit nothing is traded.", "livespot doctor --offline"),
    (errors.StoreBusy, "Nothing was changed.", "try again; then livespot status"),
    (errors.PreflightFailed, "Nothing was started.", "livespot doctor"),
    (Fatal, "The process ended; protections stay on the exchange.", "livespot status"),
    (LivespotError, "The command ended there.", "livespot doctor"),
)


def named(text: str, var: Path | None) -> str:
    """Return the text with the given state directory added to every command in it."""
    if var is None:
        return text
    from livespot.runtime.paths import Paths
    from livespot.runtime.placed import placed_advice

    return placed_advice(text, Paths(var=var))


def tell(error: LivespotError, var: Path | None = None) -> int:
    """Print the error on standard error; returns the exit code of the process.

    A text that names its own next step keeps it. `var` is the state directory that was given.
    """
    from livespot.exchange.recorded import RecordedDataInvalid

    text = named(str(error), var)
    if isinstance(error, errors.ConfigInvalid):
        for problem in error.problems:
            click.echo(named(problem, var), err=True)
    else:
        click.echo(f"Error: {text}", err=True)
    if "Next:" not in text:
        consequence, step = next(
            (said, step)
            for kind, said, step in ((RecordedDataInvalid, *_NO_SET), *_TOLD)
            if isinstance(error, kind)
        )
        click.echo(named(f"{consequence}\nNext: {step}", var), err=True)
    name_code(error.reason_code)
    if isinstance(error, Fatal):
        return error.exit_code
    return ExitCode.USAGE if isinstance(error, errors.ConfigInvalid) else ExitCode.PREFLIGHT


def tell_system(error: OSError, var: Path | None = None) -> int:
    """Print an error of the operating system; returns the exit code."""
    step = named("Next: livespot doctor --offline", var)
    click.echo(f"Error: {error}\nThe command ended there.\n{step}", err=True)
    return ExitCode.PREFLIGHT
