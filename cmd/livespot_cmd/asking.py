"""Asks the person at the terminal, and hands commands to the running process."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livespot.runtime.control import CommandFile
    from livespot.runtime.paths import Paths

_WAIT_MS = 3000
_LOOK_SECONDS = 0.1
_LONGEST_SYMBOL = 20

yes_option = click.option("--yes", is_flag=True, help="Do not ask; a script is never asked.")


def stated(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse a reason without words."""
    if not value.strip():
        raise click.BadParameter("a reason needs words.", context, parameter)
    return value


def plain_symbol(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return a symbol in the exchange's spelling; refuse what selection could never list."""
    symbol = value.upper()
    if not (symbol.isascii() and symbol.isalnum() and len(symbol) <= _LONGEST_SYMBOL):
        raise click.BadParameter(
            f"{value!r} is no symbol: letters and digits only, such as BTCUSDT.", context, parameter
        )
    return symbol


def chosen_paths(var: Path | None) -> "Paths":
    """Return the state directory that is meant; prints a note when it is the simulation's."""
    from livespot.runtime.paths import Paths, present_var

    chosen, note = (var, "") if var is not None else present_var()
    if note:
        click.echo(note, err=True)
    return Paths(var=chosen)


def at_terminal() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty()


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask the person at the terminal.

    Without one, as in a script, the command itself counts as yes.
    """
    if yes or not at_terminal():
        return True
    if click.confirm(question, err=True):
        return True
    click.echo("Nothing was done.", err=True)
    return False


def runs(paths: "Paths") -> bool:
    """Whether a process holds the instance lock of this state directory."""
    from livespot.runtime.disk import RealDisk

    return RealDisk().is_locked(paths.lock)


def refuse_without_process(paths: "Paths") -> int:
    """Say that no process would take a command; returns the exit code."""
    from livespot.contracts.errors import ExitCode
    from livespot.runtime.placed import placed

    click.echo(
        f"No livespot process is running with {paths.var}, so nobody would take this command; "
        f"nothing was changed.\nNext: {placed('livespot status', paths)}",
        err=True,
    )
    return ExitCode.PREFLIGHT


def leave(paths: "Paths", command: "CommandFile") -> int:
    """Leave a command for the running process and print its outcome; returns the exit code.

    The database is only read. A process that is too busy to answer soon still has the command.
    """
    import anyio

    from livespot.contracts.errors import ExitCode
    from livespot.runtime.clock import SystemClock
    from livespot.runtime.control import leave_command
    from livespot.runtime.entropy import SystemEntropy
    from livespot.runtime.placed import placed

    nonce = f"{SystemClock().now_ms()}-{SystemEntropy().hex(6)}"
    leave_command(paths.control, command, nonce)
    said = f"{command.action} {command.symbol}".strip()
    outcome = anyio.run(_outcome, paths, nonce)
    if outcome is None:
        click.echo(
            f"{said} left for the running process, which has not answered yet. "
            f"Watch it: {placed('livespot status', paths)} --watch"
        )
        return ExitCode.CLEAN
    click.echo(f"{said}: {outcome}")
    if not outcome.startswith("refused"):
        return ExitCode.CLEAN
    click.echo(f"Nothing was changed.\nNext: {placed('livespot next', paths)}", err=True)
    return ExitCode.PREFLIGHT


async def _outcome(paths: "Paths", nonce: str) -> str | None:
    """Wait for the command's outcome in the audit; None when that takes too long."""
    from livespot.contracts.errors import AuditUnwritable, StoreBusy
    from livespot.runtime.clock import SystemClock
    from livespot.store.queries import LedgerQueries
    from livespot.store.reader import ReadOnlyDatabase

    if not paths.database.exists():
        return None
    clock, ledger = SystemClock(), LedgerQueries(ReadOnlyDatabase(paths.database))
    until_ms = clock.monotonic_ms() + _WAIT_MS
    while clock.monotonic_ms() < until_ms:
        try:
            outcome = await ledger.command_outcome(nonce)
        except (StoreBusy, AuditUnwritable):
            outcome = None
        if outcome is not None:
            return outcome
        await clock.sleep(_LOOK_SECONDS)
    return None


def require_known(paths: "Paths", symbol: str) -> None:
    """Refuse a symbol that no scan ever listed, naming similar ones; before any scan all pass.

    Raises `click.UsageError`.
    """
    import anyio

    known = anyio.run(_known_symbols, paths)
    if known and symbol not in known:
        raise click.UsageError(
            f"No scan in this database ever listed {symbol!r}, so nothing was done."
            f"{did_you_mean(symbol, known)}"
        )


async def _known_symbols(paths: "Paths") -> tuple[str, ...]:
    from livespot.contracts.errors import AuditUnwritable, StoreBusy
    from livespot.evidence.why import known_symbols
    from livespot.store.reader import ReadOnlyDatabase

    if not paths.database.exists():
        return ()
    try:
        return tuple(await known_symbols(ReadOnlyDatabase(paths.database)))
    except (StoreBusy, AuditUnwritable):
        # An operator's command must not fail because old scans could not be read.
        return ()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the closest known words as a question with a space before it; empty without any."""
    import difflib

    close = difflib.get_close_matches(word, [*known], n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""
