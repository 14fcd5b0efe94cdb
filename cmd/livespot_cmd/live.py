"""`livespot live`: real orders, behind every lock."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import config_option, var_option_for

if TYPE_CHECKING:
    from livespot.rules.doctor import Check
    from livespot.rules.live_locks import LiveFacts
    from livespot.runtime.config import LoadedSettings
    from livespot.runtime.environment import Secrets
    from livespot.runtime.paths import Paths

# When one of these rows fails, even open positions cannot be managed safely.
_NEVER = frozenset({"instance", "schema", "integrity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the operator typed; `interactive` when there is a person at the terminal."""

    flag: bool
    confirm: str | None
    interactive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStart:
    """A start with every lock open. Any reason in `manage_only` closes entries for the whole run.

    `proven` names the records that show that the start may be made.
    """

    paths: "Paths"
    loaded: "LoadedSettings"
    secrets: "Secrets"
    account_label: str
    manage_only: tuple[str, ...]
    proven: tuple[str, ...]


@click.command(
    epilog="Example: livespot live --live --confirm MY-ACCOUNT. Exit codes: 0 clean, 2 wrong "
    "configuration, 3 not ready, 4 locked, 5 second instance, 10 ended in PAUSE, "
    "20 watchdog, 30 audit unwritable."
)
@click.option("--live", "flag", is_flag=True, help="Yes, real orders.")
@click.option("--confirm", metavar="LABEL", help="The account's label, when nobody can be asked.")
@var_option_for("State directory (default: var/ of the project).")
@config_option
def live(
    flag: bool,  # noqa: FBT001  a flag
    confirm: str | None,
    var: Path | None,
    config_path: Path | None,
) -> int:
    """Trade real money. Every missing lock is named at once, before anything is sent."""
    from livespot.runtime.environment import read_secrets
    from livespot.runtime.files import load_config
    from livespot.runtime.paths import Paths, default_var

    paths = Paths(var=var if var is not None else default_var())
    loaded = load_config(paths, config_path)
    asked = Asked(flag=flag, confirm=confirm, interactive=sys.stdin.isatty())
    start = prepare(paths, loaded, read_secrets(paths.dotenv), asked)
    if isinstance(start, int):
        return start
    from livespot.runtime.live_run import run_live

    return run_live(
        paths=start.paths,
        loaded=start.loaded,
        secrets=start.secrets,
        account_label=start.account_label,
        manage_only=start.manage_only,
        proven=start.proven,
    )


def prepare(
    paths: "Paths", loaded: "LoadedSettings", secrets: "Secrets", asked: Asked
) -> LiveStart | int:
    """Check locks, doctor and the operator's word; returns an exit code when one of them refuses.

    When an unfinished live run is taken up, what concerns only entries closes them instead.
    """
    from livespot.contracts.errors import ExitCode
    from livespot.rules.live_locks import judge_live

    label = loaded.settings.live.account_label
    facts = _facts(paths, loaded, secrets, flag=asked.flag)
    verdict = judge_live(facts)
    gate = _gate_problems(loaded)
    locked = (*verdict.locked, *_word_problems(asked, label))
    unready = (*verdict.unready, *(() if facts.unfinished_run else gate))
    code = _refusal(locked, unready, paths)
    if code is not None:
        return code
    click.echo("Every lock is open; looking at exchange, account and gate ...", err=True)
    rows = _examined(paths, loaded, secrets)
    failed = [row for row in rows if row.outcome == "FAIL"]
    if any(row.id in _NEVER for row in failed) or (failed and not facts.unfinished_run):
        return _red(rows)
    manage_only = (*verdict.manage_only, *gate, *(f"{r.title}: {r.measured}" for r in failed))
    print_checklist(loaded, rows, manage_only)
    if asked.confirm is None and not _typed(label):
        click.echo("That is not the label; nothing was started.", err=True)
        return ExitCode.LOCK_MISSING
    return LiveStart(
        paths=paths,
        loaded=loaded,
        secrets=secrets,
        account_label=label,
        manage_only=manage_only,
        proven=_proven(paths),
    )


def print_checklist(
    loaded: "LoadedSettings", rows: "Sequence[Check]", manage_only: Sequence[str]
) -> None:
    """Print what is about to happen, and within which limits."""
    from livespot_cmd.doctor import print_checks

    settings = loaded.settings
    risk, first = settings.risk, settings.live.first_day_max_notional
    quote = settings.venue.quote_asset
    print_checks(rows)
    click.echo(f"account       {settings.live.account_label} at {settings.venue.rest_url}")
    click.echo(f"model gate    ai_dec {settings.ai_gate.ai_dec}, {settings.ai_gate.model}")
    click.echo(f"first day     at most {first} {quote} an order")
    click.echo(
        f"exposure      {risk.max_exposure_symbol} a symbol, {risk.max_exposure_total} in all"
    )
    click.echo(f"day           loss {risk.max_daily_loss}, {risk.max_trades_per_day} trades")
    click.echo("at the start  account reconciled, streams flowing, audit writable: checked again")
    for reason in manage_only:
        click.echo(f"NO ENTRIES    {reason}")


def _facts(
    paths: "Paths", loaded: "LoadedSettings", secrets: "Secrets", *, flag: bool
) -> "LiveFacts":
    from functools import partial

    import anyio

    from livespot.runtime.clock import SystemClock
    from livespot.runtime.live_facts import read_live_facts

    now_ms = SystemClock().now_ms()
    read = partial(read_live_facts, paths, loaded.settings, secrets, flag=flag, now_ms=now_ms)
    return anyio.run(read)


def _proven(paths: "Paths") -> tuple[str, ...]:
    """Return the name of the crash drills' record; empty while no pass counts."""
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.drill_record import proof

    name = proof(RealDisk(), paths).name
    return (name,) if name else ()


def _word_problems(asked: Asked, label: str) -> tuple[str, ...]:
    """Return why the operator's word cannot be had, or is not the right one."""
    if not label:
        return ()
    if asked.confirm is None:
        how = f"nobody can be asked here: add --confirm {label}"
        return () if asked.interactive else (how,)
    return () if asked.confirm == label else ("--confirm names another account than [live]",)


def _gate_problems(loaded: "LoadedSettings") -> tuple[str, ...]:
    settings = loaded.settings
    if settings.ai_gate.ai_dec == 2 or settings.live.allow_gate_below_2:
        return ()
    level = settings.ai_gate.ai_dec
    return (f"ai_gate.ai_dec is {level}, live trading needs 2 (or live.allow_gate_below_2 = true)",)


def _is_running(paths: "Paths") -> bool:
    from livespot.runtime.disk import RealDisk

    return RealDisk().is_locked(paths.lock)


def _refusal(locked: Sequence[str], unready: Sequence[str], paths: "Paths") -> int | None:
    """Print everything that stands in the way and return the exit code; None when nothing does."""
    from livespot.contracts.errors import ExitCode, LockMissing, SecondInstance
    from livespot.runtime.placed import placed
    from livespot_cmd.options import name_code

    running = _is_running(paths)
    problems = [*locked, *unready]
    if running:
        problems.append(
            "another livespot runs with this state directory; "
            f"{placed('livespot stop', paths)} ends it"
        )
    if not problems:
        return None
    click.echo("Live trading stays locked; nothing was sent to anybody.", err=True)
    for problem in problems:
        click.echo(f"  - {placed(problem, paths)}", err=True)
    click.echo(f"Next: livespot doctor --offline --var {shlex.quote(str(paths.var))}", err=True)
    if locked:
        name_code(LockMissing.reason_code)
        return ExitCode.LOCK_MISSING
    if running:
        name_code(SecondInstance.reason_code)
        return ExitCode.SECOND_INSTANCE
    return ExitCode.PREFLIGHT


def _examined(paths: "Paths", loaded: "LoadedSettings", secrets: "Secrets") -> "tuple[Check, ...]":
    from functools import partial

    import anyio

    from livespot.runtime.clock import SystemClock
    from livespot.runtime.doctor import examine_installation

    return anyio.run(partial(examine_installation, paths, loaded, secrets, clock=SystemClock()))


def _red(rows: "Sequence[Check]") -> int:
    from livespot.contracts.errors import ExitCode
    from livespot.rules.doctor import summarize
    from livespot_cmd.doctor import print_checks, print_summary

    print_checks(rows)
    print_summary(summarize(rows, when_green=""))
    click.echo("The doctor is not green; nothing was started.", err=True)
    return ExitCode.PREFLIGHT


def _typed(label: str) -> bool:
    typed = click.prompt("Type the account's label to trade real money", err=True)
    return bool(typed.strip() == label)
