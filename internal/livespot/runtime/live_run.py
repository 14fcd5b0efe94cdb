"""`livespot live` after every lock is open: the same system on the real exchange."""

from livespot.contracts.vocabulary import Mode
from livespot.runtime.clock import SystemClock
from livespot.runtime.config import LoadedSettings
from livespot.runtime.console import LiveConsole
from livespot.runtime.environment import Secrets
from livespot.runtime.launch import Launch, run_launch
from livespot.runtime.loops import run_loop
from livespot.runtime.paths import Paths


def run_live(
    *,
    paths: Paths,
    loaded: LoadedSettings,
    secrets: Secrets,
    account_label: str,
    manage_only: tuple[str, ...],
) -> int:
    """Trade until stopped; the exit code. Every order stays within the first day's limit.

    The limit is lifted by setting it, in the configuration, to what the operator wants.
    """
    console = LiveConsole(sound=loaded.settings.alerts.sound)
    launch = Launch(
        mode=Mode.LIVE,
        paths=paths,
        loaded=loaded,
        secrets=secrets,
        clock=SystemClock(),
        account_label=account_label,
        announce=console.announce,
        watch=console.watch,
        manage_only=manage_only,
        order_cap=loaded.settings.live.first_day_max_notional,
    )
    return run_loop(run_launch, launch)
