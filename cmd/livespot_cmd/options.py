"""Options that several commands share."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
# The recorded hour at which the default strategy trades within minutes.
DEFAULT_START = "2021-04-22T00:01"
_SPAN = re.compile(r"^(\d+)(ms|s|m|h|d)$")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(slots=True)
class Given:
    """What the command line said that an error's advice has to repeat."""

    var: Path | None = None


class Span(click.ParamType[int]):
    """A span of time such as 90s, 3m, 1h or 30d, as milliseconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _SPAN.match(str(value))
        if found is None:
            self.fail(f"{value!r} is not a span of time; write 90s, 3m, 1h or 30d", param, ctx)
        return int(found.group(1)) * _UNIT_MS[found.group(2)]


class Instant(click.ParamType[int]):
    """Epoch milliseconds from an ISO date and time; UTC unless it says otherwise."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; write {DEFAULT_START}", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)


class SuggestingGroup(click.Group):
    """A group that suggests a similar command for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], names, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def var_option_for(said: str) -> Callable[[F], F]:
    """`--var DIR`: another state directory, with its own line of help."""
    return click.option(
        "--var",
        "var",
        type=click.Path(file_okay=False, path_type=Path),
        callback=remembered,
        help=said,
    )


def remembered(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """The directory as it was given; what tells of errors repeats it."""
    del parameter
    if isinstance(context.obj, Given):
        context.obj.var = value
    return value


var_option = var_option_for(
    "State directory (default: var/ of the project, or var/sim when only that exists)."
)


def config_option(function: F) -> F:
    """`--config PATH`: another configuration file."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration file (default: livespot.toml in the state directory, if present).",
    )(function)


def name_code(code: str | None) -> None:
    """Print the reason code behind a refusal, and where to read more."""
    if code is not None:
        click.echo(f"Code {code}; see: livespot explain {code}", err=True)
