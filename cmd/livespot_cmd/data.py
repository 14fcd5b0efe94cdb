"""`livespot data`: make, check and record the data sets that exchange and replay play."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import Span, SuggestingGroup, config_option

if TYPE_CHECKING:
    from livespot.runtime.set_capture import CaptureTold
    from livespot.runtime.set_check import SetCheck
    from livespot.runtime.set_manifest import Origin

_MOST_GAPS = 5
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.group(
    cls=SuggestingGroup,
    epilog="Example: livespot data import BTCUSDT-1m-2024-01.zip --into january. Exit codes: 0 "
    "done, 1 a set is not what its manifest says, 2 wrong usage, 3 a file cannot be used. More: "
    "docs/exchange.md.",
)
def data() -> None:
    """Make, check and record data sets."""


@data.command(
    short_help="Compare a data set with its manifest.",
    epilog="Example: livespot data check january. Exit codes: 0 it is what its manifest says, 1 it "
    "is not, 3 there is no readable manifest.",
)
@click.argument("directory", type=_DIRECTORY)
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON document.")
def check(directory: Path, as_json: bool) -> int:  # noqa: FBT001  a flag
    """Hold a data set against its manifest: hashes, rows, gaps, duplicates.

    A gap the manifest states is shown and is no problem; one it does not state is.
    """
    import msgspec

    from livespot.contracts.errors import ExitCode
    from livespot.runtime.set_check import check_set

    found = check_set(directory)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _print_check(found)
    return ExitCode.DIFFERENT if found.problems else ExitCode.CLEAN


@data.command(
    "import",
    short_help="Make a data set of candle files.",
    epilog="Example: livespot data import downloads --into january. Exit codes: 0 done, 2 wrong "
    "usage, 3 a file cannot be used.",
)
@click.argument("places", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--into", type=_DIRECTORY, help="New directory for the set.")
@click.option("--name", default="", help="The set's id (default: the directory's name).")
@click.option(
    "--rules",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="A saved answer of /api/v3/exchangeInfo, for symbols that do not ship with livespot.",
)
def import_(places: tuple[Path, ...], into: Path | None, name: str, rules: Path | None) -> int:
    """Make a data set of candle files, or finish a recording that was killed.

    PLACES are files as Binance publishes them (SYMBOL-1m-2024-01.zip or .csv, monthly or daily,
    in milliseconds or microseconds, with or without a header), parquet files named like them, or
    directories of these; or one directory of `livespot data capture`, which is finished where it
    lies. Parquet needs `scripts/environment research`.
    """
    from livespot.runtime.set_tape import CAPTURE_FILE, conclude

    if len(places) == 1 and (places[0] / CAPTURE_FILE).is_file():
        if into is not None or rules is not None or name:
            raise click.UsageError("a recording is finished where it lies; give only its directory")
        concluded = conclude(places[0])
        _print_origin(places[0], f"{concluded.rows} quotes and trades", concluded.origin)
        return 0
    if into is None:
        raise click.UsageError("--into names the new directory for the set")
    from livespot.runtime.set_import import ImportOrder, import_klines

    done = import_klines(ImportOrder(places=places, into=into, name=name, rules=rules))
    _print_origin(into, f"{done.rows} candles of {', '.join(done.symbols)}", done.origin)
    return 0


@data.command(
    short_help="Record live public quotes and trades; needs no key.",
    epilog="Example: livespot data capture --symbols BTCUSDT,ETHUSDT --into today --for 1h. Exit "
    "codes: 0 ended in order, 2 wrong usage, 3 it could not begin.",
)
@click.option("--symbols", required=True, metavar="A,B", help="What to record.")
@click.option("--into", type=_DIRECTORY, required=True, help="New directory for the set.")
@click.option("--for", "span_ms", type=Span(), help="How long; without it until Ctrl-C.")
@click.option(
    "--rotate", "rotate_ms", type=Span(), default="1h", show_default=True, help="A new file after."
)
@config_option
def capture(
    symbols: str, into: Path, span_ms: int | None, rotate_ms: int, config_path: Path | None
) -> int:
    """Record live public quotes and trades as a data set; needs no key.

    The addresses are those of the configuration ([venue] rest_url and ws_url). Ctrl-C ends it in
    order. What was lost on the way (connections, a full queue) is stated in the manifest.
    """
    from livespot.runtime.files import load_config
    from livespot.runtime.loops import run_loop
    from livespot.runtime.paths import Paths, default_var
    from livespot.runtime.set_capture import CaptureOrder, capture_set

    names = tuple(sorted({part.strip().upper() for part in symbols.split(",") if part.strip()}))
    if not names or rotate_ms < 1:
        raise click.UsageError("--symbols names at least one symbol, and --rotate a span")
    settings = load_config(Paths(var=default_var()), config_path).settings
    order = CaptureOrder(
        venue=settings.venue,
        symbols=names,
        into=into,
        rotate_ms=rotate_ms,
        span_ms=span_ms,
        tell=_tell,
    )
    concluded = run_loop(capture_set, order)
    _print_origin(into, f"{concluded.rows} quotes and trades", concluded.origin)
    return 0


def _tell(told: "CaptureTold") -> None:
    click.echo(
        f"{told.rows} rows, {told.files} files, {told.waiting} frames waiting, "
        f"{told.dropped} dropped, {told.losses} connections lost",
        err=True,
    )


def _print_check(found: "SetCheck") -> None:
    from livespot.runtime.replay_request import moment

    click.echo(f"set           {found.set_id} ({found.format}), manifest {found.sha256[:12]}")
    click.echo(f"source        {found.source}")
    click.echo(f"span          {moment(found.start_ms)} to {moment(found.end_ms)} UTC")
    for one in found.series:
        minutes = sum(gap.minutes for gap in one.gaps)
        click.echo(
            f"{one.symbol:<13} {one.rows} rows, {minutes} minutes missing in {len(one.gaps)} gaps, "
            f"{one.duplicates} duplicates, {one.dropped} left out at the making"
        )
        for gap in one.gaps[:_MOST_GAPS]:
            click.echo(f"              gap {moment(gap.from_ms)} to {moment(gap.to_ms)}")
        if len(one.gaps) > _MOST_GAPS:
            click.echo(f"              and {len(one.gaps) - _MOST_GAPS} more; --json has them all")
    for problem in found.problems:
        click.echo(f"PROBLEM       {problem}")
    click.echo("FAIL" if found.problems else "PASS: it is what its manifest says")


def _print_origin(directory: Path, what: str, origin: "Origin") -> None:
    from shlex import quote

    gaps = sum(len(of_symbol) for of_symbol in origin.gaps.values())
    click.echo(f"{directory}: {what}")
    click.echo(f"{gaps} gaps and {sum(origin.duplicates.values())} duplicates, stated in it")
    for note in origin.notes:
        click.echo(f"note: {note}")
    click.echo(f"Next: livespot replay --data {quote(str(directory))}")
