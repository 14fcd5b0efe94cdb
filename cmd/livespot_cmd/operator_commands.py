"""`livespot pause`, `resume`, `release` and `stop`: audited commands to the running process."""

from pathlib import Path

import click

from livespot_cmd.options import var_option


def _leave(var: Path | None, action: str, reason: str, symbol: str = "") -> int:
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
    command = CommandFile(action=OperatorAction(action), reason=reason, symbol=symbol)
    leave_command(paths.control, command, nonce)
    said = f"{action} {symbol}".strip()
    click.echo(f"{said} left for the running process. Watch it: livespot status --watch")
    return ExitCode.CLEAN


_LONGEST_SYMBOL = 20
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


def _plain_symbol(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The exchange's spelling; the same shape that selection demands of a symbol."""
    symbol = value.upper()
    if not (symbol.isascii() and symbol.isalnum() and len(symbol) <= _LONGEST_SYMBOL):
        raise click.BadParameter(
            f"{value!r} is no symbol: letters and digits only, such as BTCUSDT.", context, parameter
        )
    return symbol


def _stated(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("a reason needs words.", context, parameter)
    return value


@click.command(
    epilog='Example: livespot release SOLUSDT --reason "the exchange mended its filters"' + _CODES
)
@click.argument("symbol", callback=_plain_symbol)
@click.option(
    "--reason",
    required=True,
    callback=_stated,
    help="What you looked at; it is written into the audit.",
)
@var_option
def release(symbol: str, reason: str, var: Path | None) -> int:
    """End the quarantine of SYMBOL with clean counters; an alert tells whether it happened."""
    return _leave(var, "RELEASE", reason, symbol)


@click.command(epilog="Example: livespot stop" + _CODES)
@click.option("--reason", default="", help="Why; it is written into the audit.")
@var_option
def stop(reason: str, var: Path | None) -> int:
    """Shut down safely: no new entries, protections stay on the exchange."""
    return _leave(var, "STOP", reason)
