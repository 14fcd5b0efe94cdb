"""`livespot config`: effective values, their source, the schema, and what is wrong."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import SuggestingGroup, config_option, var_option

if TYPE_CHECKING:
    from livespot.runtime.config import LoadedSettings


def _load(var: Path | None, config_path: Path | None) -> "LoadedSettings":
    from livespot.runtime.files import load_config
    from livespot.runtime.paths import Paths, present_var

    chosen = var if var is not None else present_var()[0]
    return load_config(Paths(var=chosen), config_path)


@click.group(
    cls=SuggestingGroup,
    epilog="Example: livespot config check --config my.toml. Exit codes: 0 valid, 2 not valid.",
)
def config() -> None:
    """Show, check and explain the configuration."""


@config.command(epilog="Example: livespot config show")
@var_option
@config_option
def show(var: Path | None, config_path: Path | None) -> int:
    """Print every effective value and where it comes from."""
    from livespot.runtime.config import effective_rows

    loaded = _load(var, config_path)
    for key, value, source in effective_rows(loaded):
        click.echo(f"{key} = {value}  # {source}")
    for name in ("BINANCE_API_KEY", "BINANCE_API_SECRET", "OPENAI_API_KEY"):
        click.echo(f"# {name} = *** (environment only)")
    click.echo(f"# config_hash {loaded.config_hash}")
    return 0


@config.command(
    epilog="Example: livespot config diff", short_help="Print only what differs from the defaults."
)
@var_option
@config_option
def diff(var: Path | None, config_path: Path | None) -> int:
    """Print only what differs from the defaults, as default -> effective."""
    from livespot.runtime.config import effective_rows, load_settings

    defaults = {key: value for key, value, _ in effective_rows(load_settings(None, path=""))}
    for key, value, _ in effective_rows(_load(var, config_path)):
        if defaults[key] != value:
            click.echo(f"{key}: {defaults[key]} -> {value}")
    return 0


@config.command(epilog="Example: livespot config check --config my.toml")
@var_option
@config_option
def check(var: Path | None, config_path: Path | None) -> int:
    """Report every problem with its line; exit 2 when there is one."""
    from livespot.rules.doctor import Outcome, limit_checks

    loaded = _load(var, config_path)
    if Path(loaded.path).is_file():
        keys = len(loaded.from_file)
        found = f"{loaded.path}: good, {keys} key{'' if keys == 1 else 's'} set"
    else:
        found = f"{loaded.path} does not exist: every value is its default, which is fine"
    click.echo(f"{found}, {loaded.config_hash}")
    for row in limit_checks(loaded.settings):
        click.echo(f"{row.title}: {row.measured}")
        if row.outcome is Outcome.WARN:
            click.echo(f"WARN {row.detail}")
    return 0


@config.command(epilog="Example: livespot config schema > livespot.schema.json")
def schema() -> int:
    """Print the JSON Schema of the configuration."""
    import msgspec

    from livespot.contracts.schemas import schema_text
    from livespot.contracts.settings import Settings

    click.echo(schema_text(msgspec.json.schema(Settings)), nl=False)
    return 0
