"""Runs `livespot live` once every lock is open: the same system on the real exchange."""

from livespot.contracts.errors import ExitCode
from livespot.contracts.vocabulary import Mode
from livespot.runtime.clock import SystemClock
from livespot.runtime.config import LoadedSettings
from livespot.runtime.console import LiveConsole
from livespot.runtime.environment import Secrets
from livespot.runtime.launch import Launch, Running, run_launch
from livespot.runtime.loops import run_loop
from livespot.runtime.paths import Paths
from livespot.runtime.run_evidence import finish
from livespot.runtime.swap_rehearsal import proven_only


def run_live(
    *,
    paths: Paths,
    loaded: LoadedSettings,
    secrets: Secrets,
    account_label: str,
    manage_only: tuple[str, ...],
    proven: tuple[str, ...],
) -> int:
    """Trade until stopped; returns the exit code.

    Each order is limited to the first day's size until the operator sets the limit in the
    configuration.
    """
    console = LiveConsole(sound=loaded.settings.alerts.sound)
    run_ids: list[str] = []

    async def watch(running: Running) -> None:
        run_ids.append(running.run_id)
        await console.watch(running)

    launch = Launch(
        mode=Mode.LIVE,
        paths=paths,
        loaded=proven_only(loaded, loaded.settings.venue.rest_url, paths.rehearsals),
        secrets=secrets,
        clock=SystemClock(),
        account_label=account_label,
        announce=console.announce,
        watch=watch,
        manage_only=manage_only,
        proven=proven,
        order_cap=loaded.settings.live.first_day_max_notional,
    )
    return run_loop(_run, launch, run_ids)


async def _run(launch: Launch, run_ids: list[str]) -> ExitCode:
    """Run to the end, then complete the run's evidence however it ended."""
    try:
        return await run_launch(launch)
    finally:
        await finish(launch.paths, run_ids)
