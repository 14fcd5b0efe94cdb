"""`livespot exposure`: positions the operator took by hand, which keep livespot out of a symbol."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livespot_cmd.asking import (
    chosen_paths,
    confirmed,
    did_you_mean,
    leave,
    plain_symbol,
    require_known,
    runs,
    stated,
    yes_option,
)
from livespot_cmd.options import SuggestingGroup, var_option

if TYPE_CHECKING:
    from livespot.contracts.records import ManualExposureRow
    from livespot.runtime.control import CommandFile
    from livespot.runtime.paths import Paths

_SHOWN = 50
_CODES = (
    " Exit codes: 0 done, or waiting for the process; 2 wrong usage; 3 refused, you said no, or no "
    "database this program can read."
)


class Amount(click.ParamType[Decimal]):
    """A plain positive decimal such as 0.25."""

    name = "amount"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        from livespot.rules.manual_exposure import is_amount

        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is no amount; write 0.25", param, ctx)
        if not is_amount(amount):
            self.fail(f"{value!r} is no amount: above zero, at most 8 decimals", param, ctx)
        return amount


@click.group(
    cls=SuggestingGroup,
    epilog='Example: livespot exposure open SOLUSDT BUY 12.5 --reason "long term".' + _CODES,
)
def exposure() -> None:
    """Register positions of your own: livespot takes no entry in their symbols."""


@exposure.command(
    "open",
    epilog='Example: livespot exposure open SOLUSDT BUY 12.5 --reason "long term".' + _CODES,
)
@click.argument("symbol", callback=plain_symbol)
@click.argument("side", type=click.Choice(["BUY", "SELL"], case_sensitive=False))
@click.argument("qty", type=Amount())
@click.option("--reason", required=True, callback=stated, help="Why; it is written into the audit.")
@var_option
def open_(symbol: str, side: str, qty: Decimal, reason: str, var: Path | None) -> int:
    """Register QTY of SYMBOL that you bought or sold yourself."""
    from livespot.contracts.vocabulary import OperatorAction, Side
    from livespot.runtime.control import CommandFile

    paths = chosen_paths(var)
    require_known(paths, symbol)
    return _hand_over(
        paths,
        CommandFile(
            action=OperatorAction.EXPOSURE_OPEN,
            reason=reason,
            symbol=symbol,
            side=Side(side.upper()),
            qty=qty,
        ),
    )


@exposure.command(
    "close",
    short_help="Close a registration: entries are judged as usual again.",
    epilog='Example: livespot exposure close SOLUSDT --reason "sold it again".' + _CODES,
)
@click.argument("which", metavar="ID|SYMBOL")
@click.option("--reason", required=True, callback=stated, help="Why; it is written into the audit.")
@yes_option
@var_option
def close(which: str, reason: str, yes: bool, var: Path | None) -> int:  # noqa: FBT001  a flag
    """Close a registration, so that entries in its symbol are judged as usual again."""
    from livespot.contracts.errors import ExitCode
    from livespot.contracts.vocabulary import OperatorAction
    from livespot.runtime.control import CommandFile

    paths = chosen_paths(var)
    row = _chosen(which, [row for row in _stored(paths) if not row.closed_at_ms])
    if not confirmed(f"livespot may buy {row.symbol} again. Is your own position gone?", yes=yes):
        return ExitCode.PREFLIGHT
    return _hand_over(
        paths,
        CommandFile(
            action=OperatorAction.EXPOSURE_CLOSE,
            reason=reason,
            symbol=row.symbol,
            exposure_id=row.exposure_id,
        ),
    )


@exposure.command(
    "list",
    short_help="Show what is registered, open ones first.",
    epilog="Example: livespot exposure list --json." + _CODES,
)
@click.option("--json", "as_json", is_flag=True, help="Machine output.")
@var_option
def list_(as_json: bool, var: Path | None) -> int:  # noqa: FBT001  a flag
    """Show what is registered: open ones first, then the closed ones of late."""
    from livespot.runtime.control import waiting_commands

    paths = chosen_paths(var)
    rows = _stored(paths)
    waiting = [it for it in waiting_commands(paths.control) if it.action.startswith("EXPOSURE_")]
    if as_json:
        import msgspec

        whole = {"exposures": rows, "waiting": waiting}
        click.echo(msgspec.json.encode(whole).decode())
        return 0
    if not rows and not waiting:
        click.echo("No position of your own is registered.")
    for row in rows:
        click.echo(_line(row))
    for command in waiting:
        what = f"{command.symbol} {command.side or ''} {command.qty or ''}".rstrip()
        click.echo(f"WAITING  {command.action} {what}: taken when a process runs")
    return 0


def _hand_over(paths: "Paths", command: "CommandFile") -> int:
    """To the running process, else into its letter box: the next start reads it before it buys."""
    from livespot.contracts.errors import ExitCode
    from livespot.runtime.clock import SystemClock
    from livespot.runtime.control import leave_command
    from livespot.runtime.entropy import SystemEntropy
    from livespot.runtime.placed import placed

    if runs(paths):
        return leave(paths, command)
    nonce = f"{SystemClock().now_ms()}-{SystemEntropy().hex(6)}"
    leave_command(paths.control, command, nonce)
    see = placed("livespot exposure list", paths)
    click.echo(
        f"{command.action} {command.symbol} waits in {paths.control}: no process runs, and the "
        f"next one takes it before its first entry.\nSee it: {see}"
    )
    return ExitCode.CLEAN


def _stored(paths: "Paths") -> "tuple[ManualExposureRow, ...]":
    """Read the registrations. Raises `SchemaMismatch` for a database of another schema."""
    import anyio

    from livespot.store.migrate import status
    from livespot.store.queries import LedgerQueries
    from livespot.store.reader import ReadOnlyDatabase
    from livespot.store.schema import require_current

    if not paths.database.exists():
        return ()
    require_current(status(paths.database))
    ledger = LedgerQueries(ReadOnlyDatabase(paths.database))

    async def read() -> "tuple[ManualExposureRow, ...]":
        return await ledger.exposures(limit=_SHOWN)

    return anyio.run(read)


def _chosen(which: str, rows: "Sequence[ManualExposureRow]") -> "ManualExposureRow":
    """Return the one open registration that is meant. Raises `click.UsageError`."""
    found = [row for row in rows if which == row.exposure_id or which.upper() == row.symbol]
    if len(found) == 1:
        return found[0]
    if found:
        ids = "\n  ".join(_line(row) for row in found)
        raise click.UsageError(f"{which!r} means several, so none was closed; give an id:\n  {ids}")
    names = {row.exposure_id for row in rows} | {row.symbol for row in rows}
    raise click.UsageError(
        f"No open exposure {which!r}, so none was closed.{did_you_mean(which.upper(), names)}\n"
        "Next: livespot exposure list"
    )


def _line(row: "ManualExposureRow") -> str:
    from datetime import UTC, datetime

    from livespot.contracts.amounts import decimal_text
    from livespot.rules.words import printable

    def at(ms: int) -> str:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")

    told = f"{row.symbol} {row.side} {decimal_text(row.qty)} since {at(row.opened_at_ms)} UTC"
    if row.closed_at_ms:
        told = f"{told}, closed {at(row.closed_at_ms)}: {row.close_note}"
        return printable(f"CLOSED   {row.exposure_id}  {told}")
    return printable(f"OPEN     {row.exposure_id}  {told}: {row.note}")
