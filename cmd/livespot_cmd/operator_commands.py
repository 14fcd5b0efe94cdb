"""`livespot pause`, `resume` and `stop`: audited commands to the running process."""

from pathlib import Path

import click

from livespot_cmd.options import var_option


def _leave(var: Path | None, action: str, reason: str) -> int:
    from livespot.contracts.errors import ExitCode
    from livespot.contracts.vocabulary import OperatorAction
    from livespot.runtime.clock import SystemClock
    from livespot.runtime.control import CommandFile, leave_command
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.entropy import SystemEntropy
    from livespot.runtime.paths import Paths, present_var

    chosen, note = (var, "") if var is not None else present_var()
    paths = Paths(var=chosen)
    if note:
        click.echo(note, err=True)
    if not RealDisk().is_locked(paths.lock):
        click.echo(
            f"No livespot process is running with {chosen}, so nobody would take this command.\n"
            "Next: livespot status",
            err=True,
        )
        return ExitCode.PREFLIGHT
    nonce = f"{SystemClock().now_ms()}-{SystemEntropy().hex(6)}"
    leave_command(paths.control, CommandFile(action=OperatorAction(action), reason=reason), nonce)
    click.echo(f"{action} left for the running process. Watch it: livespot status --watch")
    return ExitCode.CLEAN


_CODES = ". Exit codes: 0 left for the running process, 2 wrong usage, 3 no process runs."


@click.command(epilog='Example: livespot pause --reason "news at 14:00"' + _CODES)
@click.option("--reason", default="", help="Why; it is written into the audit.")
@var_option
def pause(reason: str, var: Path | None) -> int:
    """Stop entries until you resume; positions stay protected and managed."""
    return _leave(var, "PAUSE", reason)


@click.command(epilog='Example: livespot resume --reason "checked the open orders"' + _CODES)
@click.option("--reason", required=True, help="What you looked at; it is written into the audit.")
@var_option
def resume(reason: str, var: Path | None) -> int:
    """Leave PAUSE for DEGRADE; NORMAL follows after the stability window."""
    return _leave(var, "RESUME", reason)


@click.command(epilog="Example: livespot stop" + _CODES)
@click.option("--reason", default="", help="Why; it is written into the audit.")
@var_option
def stop(reason: str, var: Path | None) -> int:
    """Shut down safely: no new entries, protections stay on the exchange."""
    return _leave(var, "STOP", reason)
