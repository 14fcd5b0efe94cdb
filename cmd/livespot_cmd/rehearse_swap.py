"""`livespot rehearse-swap`: prove, or disprove, that a stop can be swapped without a gap."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import DEFAULT_START, Instant, config_option, var_option_for

if TYPE_CHECKING:
    from livespot.runtime.swap_rehearsal import Rehearsal

_NOT_LIVE = (
    "A swap is not rehearsed on the real exchange, and nothing was sent to it: the rehearsal buys "
    "and sells for real money outside the audited ledger. Live trading therefore never swaps a "
    "stop; VIRTUAL trailing is OFF there.\n"
    'Next: trailing_policy = "AUTO" under [exit], which trails at the exchange and swaps nothing'
)


@click.command(
    name="rehearse-swap",
    epilog="Example: livespot rehearse-swap, then livespot sim with trailing_policy = "
    '"VIRTUAL" under [exit]. Exit codes: 0 proven, 2 wrong usage or configuration, 3 not proven, '
    "4 asked for the real exchange.",
)
@click.option("--symbol", default="BTCUSDT", show_default=True, help="What is bought and sold.")
@click.option("--live", is_flag=True, help="Refused: the real exchange is not rehearsed on.")
@var_option_for("State directory that keeps the result (default: var/sim of the project).")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON document.")
def rehearse_swap(
    symbol: str,
    live: bool,  # noqa: FBT001  a flag
    var: Path | None,
    config_path: Path | None,
    as_json: bool,  # noqa: FBT001  a flag
) -> int:
    """Swap one stop on an embedded exchange of its own, and keep the result.

    VIRTUAL trailing raises a stop by one cancel-replace. It is OFF in every simulation and replay
    until the newest rehearsal kept for it swapped a stop within one second.
    """
    import anyio

    from livespot.contracts.errors import ExitCode, LockMissing
    from livespot.runtime.embedded_rehearsal import rehearse_embedded
    from livespot.runtime.files import load_config
    from livespot.runtime.paths import Paths, sim_var
    from livespot.runtime.swap_rehearsal import keep
    from livespot_cmd.options import name_code

    if live:
        click.echo(_NOT_LIVE, err=True)
        name_code(LockMissing.reason_code)
        return ExitCode.LOCK_MISSING
    paths = Paths(var=var if var is not None else sim_var())
    settings = load_config(paths, config_path).settings
    start_ms = Instant().convert(DEFAULT_START, None, None)
    found = anyio.run(rehearse_embedded, symbol.upper(), settings, start_ms)
    keep(paths.rehearsals, found)
    _tell(found, paths.rehearsals, as_json=as_json)
    return ExitCode.CLEAN if found.proven else ExitCode.PREFLIGHT


def _tell(found: "Rehearsal", path: Path, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    verdict = "PROVEN" if found.proven else "NOT PROVEN"
    gap = f", {found.gap_ms} ms without a stop" if found.gap_ms >= 0 else ""
    click.echo(f"{verdict}  {found.venue}, {found.symbol}: {found.detail}{gap}; kept in {path}")
