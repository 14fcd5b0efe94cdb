"""`livespot explain`: what a code means, how a decision went, why a symbol was not traded."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import var_option

if TYPE_CHECKING:
    from livespot.contracts.base import Message
    from livespot.runtime.paths import Paths
    from livespot.store.reader import Reader

_PREFIX = "dec_"
_SHORTEST = 12
_ASKED_FOR = (
    " Symbols are written as in livespot status, such as SOLUSDT; docs/runbook.md lists all codes."
)


@click.command(
    epilog="Example: livespot explain SYMBOL_QUARANTINED; "
    "livespot explain dec_c03b902e4423 --recompute; "
    "livespot explain SOLUSDT@2026-01-01T12:00:00. Exit codes: 0 explained (with --recompute: "
    "identical), 1 the recomputation differs, 2 no such code, decision or symbol, 3 no database or "
    "one this program does not fit."
)
@click.argument("what", metavar="CODE|DECISION_ID|SYMBOL[@TIME]")
@click.option("--recompute", is_flag=True, help="Compute the decision and its verdicts again.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@var_option
def explain(what: str, recompute: bool, as_json: bool, var: Path | None) -> int:  # noqa: FBT001
    """Explain a reason code, a decision, or why a symbol was not traded.

    CODE is a reason code in any case. DECISION_ID may be cut to 12 characters or more. SYMBOL@TIME
    asks about an instant: an ISO time (UTC), epoch milliseconds, or now; SYMBOL alone means the
    last recorded instant.
    """
    name, mark, time = what.partition("@")
    if recompute and not what.startswith(_PREFIX):
        raise click.UsageError("--recompute wants a decision; give its id, dec_...")
    if what.startswith(_PREFIX):
        return _decision(what, var, recompute=recompute, as_json=as_json)
    if not mark and _is_code(name):
        return _code(name, var, as_json=as_json)
    if not mark and not _may_be_symbol(name):
        return _unknown_code(name)
    return _symbol(name.upper(), time, var, as_json=as_json)


def _is_code(text: str) -> bool:
    from livespot.contracts.codes import ReasonCode

    return text.upper() in ReasonCode.__members__


def _may_be_symbol(text: str) -> bool:
    """Whether the text may be a symbol: every code has an underscore, no symbol has one."""
    return bool(text) and "_" not in text


def _code(name: str, var: Path | None, *, as_json: bool) -> int:
    from livespot.contracts.catalogue import CATALOGUE, number_of
    from livespot.contracts.codes import ReasonCode
    from livespot.runtime.paths import Paths, present_var
    from livespot.runtime.placed import placed

    paths = Paths(var=var if var is not None else present_var()[0])

    code = ReasonCode(name.upper())
    entry = CATALOGUE[code]
    if as_json:
        import msgspec

        told = {
            "code": code.value,
            "number": number_of(code),
            "meaning": entry.meaning,
            "action": entry.action,
            "by_itself": entry.by_itself,
            "over": entry.over,
            "reserved": entry.reserved,
        }
        click.echo(msgspec.json.encode(told).decode())
        return 0
    click.echo(f"{code} ({number_of(code)})")
    click.echo(f"  means      {entry.meaning}")
    click.echo(f"  you        {placed(entry.action, paths)}")
    if entry.by_itself:
        click.echo(f"  livespot   {entry.by_itself}")
    click.echo(f"  over when  {entry.over}")
    if entry.reserved:
        click.echo(f"  reserved   This version never raises it. {entry.reserved}")
    return 0


def _unknown_code(name: str) -> int:
    from livespot.contracts.codes import ReasonCode

    raise click.UsageError(f"There is no reason code {name!r}.{_hint(name, ReasonCode)}")


def _hint(name: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name.upper(), [*known], n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _opened(var: Path | None) -> "tuple[Reader, Paths] | None":
    """The database to read from and where it is; None after saying that there is none.

    Raises `SchemaMismatch` for one that is older or newer than this program, or no database.
    """
    from livespot.runtime.paths import Paths, present_var
    from livespot.runtime.placed import placed
    from livespot.store.migrate import status
    from livespot.store.reader import ReadOnlyDatabase
    from livespot.store.schema import require_current

    chosen, note = (var, "") if var is not None else present_var()
    if note:
        click.echo(note, err=True)
    paths = Paths(var=chosen)
    if not paths.database.exists():
        step = placed("livespot sim --for 3m", paths)
        click.echo(
            f"There is no audit database in {chosen}, so there is no history to explain from.\n"
            f"Next: {step}, or --var DIR for another state directory",
            err=True,
        )
        return None
    require_current(status(paths.database))
    return ReadOnlyDatabase(paths.database), paths


def _decision(what: str, var: Path | None, *, recompute: bool, as_json: bool) -> int:
    import anyio

    from livespot.contracts.errors import ExitCode

    opened = _opened(var)
    if opened is None:
        return ExitCode.PREFLIGHT
    reader, paths = opened
    decision_id = anyio.run(_chosen, reader, what)
    show = _recomputed if recompute else _traced
    return anyio.run(show, reader, paths, decision_id, as_json)


async def _chosen(reader: "Reader", what: str) -> str:
    """Return the one decision whose id begins so. Raises `click.UsageError` for none or several."""
    from livespot.evidence.decision_trace import matching

    found = await matching(reader, what)
    if what in found:
        return what
    if len(what) < _SHORTEST:
        raise click.UsageError(f"{what!r} is too short; give at least {_SHORTEST} characters")
    if len(found) == 1:
        return found[0]
    if not found:
        raise click.UsageError(
            f"This database holds no decision {what!r}. Blocks have no id: ask about the symbol "
            "and the time instead.\nNext: livespot explain SYMBOL@TIME"
        )
    names = "\n  ".join(found)
    raise click.UsageError(f"{what!r} is the beginning of several decisions:\n  {names}")


async def _traced(
    reader: "Reader",
    paths: "Paths",
    decision_id: str,
    as_json: bool,  # noqa: FBT001
) -> int:
    from livespot.evidence.decision_trace import trace
    from livespot.runtime.placed import placed

    told = await trace(reader, decision_id)
    if as_json:
        return _as_json(told)
    click.echo(told.headline)
    click.echo(told.decision_id)
    for section in told.sections:
        click.echo(f"\n{section.name}")
        for line in section.lines:
            click.echo(f"  {line}")
    for other in told.related:
        see = placed(f"livespot explain {other}", paths)
        click.echo(f"\nThe gate made one of the other: {see}")
    step = placed(f"livespot explain {told.decision_id[:16]} --recompute", paths)
    click.echo(f"\nNext: {step}")
    return 0


async def _recomputed(
    reader: "Reader",
    paths: "Paths",
    decision_id: str,
    as_json: bool,  # noqa: FBT001
) -> int:
    from livespot.evidence.recompute import recompute
    from livespot.runtime.placed import placed

    told = await recompute(reader, decision_id)
    if as_json:
        _as_json(told)
        return 0 if told.identical else 1
    for item in told.compared:
        if item.identical:
            click.echo(f"{item.subject}: identical")
        elif item.problem:
            click.echo(f"{item.subject}: cannot be recomputed: {item.problem}")
        else:
            click.echo(
                f"{item.subject}: differs first in {item.field}: stored {item.stored}, "
                f"recomputed {item.recomputed}"
            )
    if told.identical:
        click.echo(f"{decision_id} is identical.")
        return 0
    status = placed("livespot status", paths)
    click.echo(
        f"Next: run this with the version of livespot that decided it ({status} names it); "
        "if it still differs, the database was changed",
        err=True,
    )
    return 1


def _symbol(symbol: str, time: str, var: Path | None, *, as_json: bool) -> int:
    import anyio

    from livespot.contracts.errors import ExitCode
    from livespot.evidence.moments import parse_instant

    at_ms = None
    if time and time != "now":
        at_ms = parse_instant(time)
        if at_ms is None:
            raise click.UsageError(
                f"{time!r} is no time; write 2026-01-01T12:00:00 (UTC), epoch milliseconds or now"
            )
    opened = _opened(var)
    if opened is None:
        return ExitCode.PREFLIGHT
    return anyio.run(_why, *opened, symbol, at_ms, as_json)


async def _why(
    reader: "Reader",
    paths: "Paths",
    symbol: str,
    at_ms: int | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    from livespot.contracts.codes import ReasonCode
    from livespot.evidence.why import known_symbols, knows_symbol, why_not
    from livespot.runtime.placed import placed

    if not await knows_symbol(reader, symbol):
        near = _hint(symbol, (*await known_symbols(reader), *ReasonCode))
        raise click.UsageError(
            f"No scan in this database ever listed {symbol!r}.{near or _ASKED_FOR}"
        )
    told = await why_not(reader, symbol, at_ms)
    if as_json:
        return _as_json(told)
    click.echo(told.headline)
    if told.links:
        click.echo("")
    for link in told.links:
        click.echo(f"  {link.passage.value:<12}{link.stage:<17}{link.line}")
    for note in told.notes:
        click.echo(f"Note: {note}")
    if told.codes:
        step = placed(f"livespot explain {shlex.quote(str(told.codes[0]))}", paths)
        click.echo(f"\nNext: {step}")
    return 0


def _as_json(told: "Message") -> int:
    import msgspec

    click.echo(msgspec.json.encode(told).decode())
    return 0
