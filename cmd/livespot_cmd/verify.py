"""`livespot verify`: six gates, each able to fail, over what a run left."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import config_option, var_option

if TYPE_CHECKING:
    from livespot.contracts.secret import Secret
    from livespot.evidence.gates.results import Verdict
    from livespot.runtime.paths import Paths
    from livespot.runtime.verify_run import Judged

_ALL = "all"
_GATES = ("contracts", "determinism", "persistence", "execution", "events", "secrets")


@click.command(
    epilog="Example: livespot verify all; livespot verify events --run LAST. Exit codes: 0 every "
    "gate passed, 1 one failed, 2 wrong usage, 3 no such run, or a gate that could not look."
)
@click.argument("gate", type=click.Choice((*_GATES, _ALL)), default=_ALL)
@click.option(
    "--run", default="LAST", show_default=True, help="A run's id, its beginning, or LAST."
)
@click.option("--json", "as_json", is_flag=True, help="The verdicts as one JSON document.")
@var_option
@config_option
def verify(
    gate: str,
    run: str,
    as_json: bool,  # noqa: FBT001  a flag
    var: Path | None,
    config_path: Path | None,
) -> int:
    """Check a run against what it promised: PASS, FAIL, or NEEDS_DATA where data is missing."""
    import anyio
    import msgspec

    from livespot.runtime.verify_run import VerifyOrder
    from livespot.runtime.verify_run import verify as judge
    from livespot_cmd.recorded import recorded

    paths = recorded(var, also_damaged=True)
    order = VerifyOrder(
        paths=paths,
        run=run,
        gates=_GATES if gate == _ALL else (gate,),
        secrets=_secrets(paths),
        config_path=config_path,
    )
    judged = anyio.run(judge, order, _silent if as_json else partial(_tell, paths))
    if as_json:
        verdicts = [_placed(one.verdict, paths) for one in judged]
        click.echo(msgspec.json.encode(verdicts).decode())
    return _exit_code(judged)


def _secrets(paths: "Paths") -> "tuple[Secret, ...]":
    """Return the live secrets of this environment."""
    from livespot.runtime.environment import read_secrets

    return read_secrets(paths.dotenv).all()


def _silent(judged: "Judged") -> None:
    del judged


def _placed(verdict: "Verdict", paths: "Paths") -> "Verdict":
    from msgspec.structs import replace

    from livespot.runtime.placed import placed

    return replace(verdict, next_action=placed(verdict.next_action, paths))


def _tell(paths: "Paths", judged: "Judged") -> None:
    verdict = _placed(judged.verdict, paths)
    why = f"  {', '.join(verdict.reasons)}" if verdict.reasons else ""
    click.echo(f"{verdict.outcome:<10} {verdict.gate:<12} {verdict.looked_at} looked at{why}")
    for detail in verdict.details:
        click.echo(f"             {detail}")
    if verdict.next_action:
        click.echo(f"  Next: {verdict.next_action}")
    click.echo(f"             receipt {judged.receipt}", err=True)


def _exit_code(judged: "tuple[Judged, ...]") -> int:
    from livespot.contracts.errors import ExitCode

    outcomes = {one.verdict.outcome.value for one in judged}
    if "FAIL" in outcomes:
        return ExitCode.DIFFERENT
    return ExitCode.PREFLIGHT if "NEEDS_DATA" in outcomes else ExitCode.CLEAN
