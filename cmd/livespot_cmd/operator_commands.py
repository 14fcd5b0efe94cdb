"""`livespot pause`, `resume`, `release`, `stop` and `halt`: audited, to the running process."""

from pathlib import Path

import click

from livespot_cmd.asking import (
    chosen_paths,
    confirmed,
    leave,
    plain_symbol,
    refuse_without_process,
    require_known,
    runs,
    stated,
    yes_option,
)
from livespot_cmd.options import var_option

_CODES = (
    ". Exit codes: 0 done, or left for a process that has not answered yet; 2 wrong usage; 3 no "
    "process runs, it refused, or you said no."
)


def _send(var: Path | None, action: str, reason: str, *, symbol: str = "", ask: str = "") -> int:
    """Ask first if `ask` is a question, then leave the command; returns the exit code."""
    from livespot.contracts.errors import ExitCode
    from livespot.contracts.vocabulary import OperatorAction
    from livespot.runtime.control import CommandFile

    paths = chosen_paths(var)
    if not runs(paths):
        return refuse_without_process(paths)
    if symbol:
        require_known(paths, symbol)
    if ask and not confirmed(ask, yes=False):
        return ExitCode.PREFLIGHT
    return leave(paths, CommandFile(action=OperatorAction(action), reason=reason, symbol=symbol))


@click.command(epilog='Example: livespot pause --reason "news at 14:00"' + _CODES)
@click.option("--reason", default="", help="Why; it is written into the audit.")
@var_option
def pause(reason: str, var: Path | None) -> int:
    """Stop entries until you resume; positions stay protected and managed. Never asks."""
    return _send(var, "PAUSE", reason)


@click.command(epilog='Example: livespot resume --reason "checked the open orders"' + _CODES)
@click.option(
    "--reason",
    required=True,
    callback=stated,
    help="What you looked at; it is written into the audit.",
)
@yes_option
@var_option
def resume(reason: str, yes: bool, var: Path | None) -> int:  # noqa: FBT001  a flag
    """Leave PAUSE for DEGRADE; NORMAL follows after the stability window."""
    ask = "Entries will be allowed again once nothing is wrong. Resume?"
    return _send(var, "RESUME", reason, ask="" if yes else ask)


@click.command(
    epilog='Example: livespot release SOLUSDT --reason "the exchange mended its filters"' + _CODES
)
@click.argument("symbol", callback=plain_symbol)
@click.option(
    "--reason",
    required=True,
    callback=stated,
    help="What you looked at; it is written into the audit.",
)
@var_option
def release(symbol: str, reason: str, var: Path | None) -> int:
    """End the quarantine of SYMBOL with clean counters; says whether it happened."""
    return _send(var, "RELEASE", reason, symbol=symbol)


@click.command(epilog="Example: livespot stop" + _CODES)
@click.option("--reason", default="", help="Why; it is written into the audit.")
@yes_option
@var_option
def stop(reason: str, yes: bool, var: Path | None) -> int:  # noqa: FBT001  a flag
    """Shut down safely: no new entries, protections stay on the exchange."""
    ask = "The process will end; stops and targets stay on the exchange. Stop it?"
    return _send(var, "STOP", reason, ask="" if yes else ask)


@click.command(
    epilog='Example: livespot halt --reason "somebody else uses the key". Exit codes: 0 the STOP '
    "file stands, 2 wrong usage, 3 you said no."
)
@click.option(
    "--reason", required=True, callback=stated, help="Why; it goes into the audit and the file."
)
@yes_option
@var_option
def halt(reason: str, yes: bool, var: Path | None) -> int:  # noqa: FBT001  a flag
    """Write the STOP file: a running process shuts down safely, and none trades again.

    Protections stay on the exchange. Works without a running process as well. Only a new
    simulation sets the file aside, with everything else of the last one.
    """
    import shlex

    from livespot.contracts.errors import ExitCode
    from livespot.contracts.vocabulary import OperatorAction
    from livespot.runtime.control import CommandFile, leave_stop_file

    paths = chosen_paths(var)
    running = runs(paths)
    if not confirmed(
        f"{'The process will end, and' if running else 'From now on'} none starts until the file "
        f"{paths.stop_file} is removed. Halt?",
        yes=yes,
    ):
        return ExitCode.PREFLIGHT
    # The command first, so that the reason is in the audit before the file ends the process.
    if running:
        leave(paths, CommandFile(action=OperatorAction.HALT, reason=reason))
    leave_stop_file(paths.stop_file, reason)
    click.echo(
        f"{paths.stop_file} stands: "
        + ("the process is ending, and none starts again." if running else "no process starts.")
    )
    click.echo(f"Lift it with: rm {shlex.quote(str(paths.stop_file))}", err=True)
    return ExitCode.CLEAN
