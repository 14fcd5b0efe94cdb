"""`livespot shadow`: watch the real public market with the whole pipeline and send nothing."""

from pathlib import Path

import click

from livespot_cmd.options import Span, config_option, var_option_for


@click.command(
    epilog="Example: livespot shadow --for 1h. Exit codes: 0 clean, 2 wrong configuration, 3 a key "
    "is present or the place is in use otherwise, 5 one is running, 10 ended in PAUSE, 20 "
    "watchdog, 30 audit unwritable. More: docs/shadow.md."
)
@click.option("--for", "span_ms", type=Span(), help="How long; without it until Ctrl-C.")
@var_option_for("State directory of its own (default: var/shadow of the project).")
@config_option
def shadow(span_ms: int | None, var: Path | None, config_path: Path | None) -> int:
    """Monitor only: public data, no key, no orders.

    Proposals and blocks are recorded as in any run. What would have become of an entry is the
    estimate of a stated fill model, marked SHADOW, and never counted as a fill.
    """
    from livespot.runtime.environment import read_secrets
    from livespot.runtime.files import load_config
    from livespot.runtime.paths import Paths, default_var

    paths = Paths(var=var if var is not None else default_var() / "shadow")
    secrets = read_secrets(paths.dotenv)
    from livespot.runtime.loops import run_loop
    from livespot.runtime.shadow_run import ShadowOrder, require_no_key, run_shadow, without_gate

    require_no_key(secrets)
    order = ShadowOrder(
        paths=paths,
        loaded=without_gate(load_config(paths, config_path)),
        span_seconds=None if span_ms is None else span_ms / 1000,
    )
    return run_loop(run_shadow, order)
