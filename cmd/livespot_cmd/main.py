"""`livespot`: one program, one module per command, loaded only when called."""

import importlib
import os
import sys

import click

from livespot import __version__
from livespot_cmd.options import SuggestingGroup

_COMMANDS = {
    "sim": ("livespot_cmd.sim", "sim", "Trade recorded real market data on an embedded exchange."),
    "replay": ("livespot_cmd.replay", "replay", "Replay a stored market on virtual time."),
    "soak": ("livespot_cmd.soak", "soak", "Simulate for hours with faults; is it ready?"),
    "live": ("livespot_cmd.live", "live", "Trade real money, behind every lock."),
    "shadow": ("livespot_cmd.shadow", "shadow", "Watch the real market, and send nothing."),
    "exchange": ("livespot_cmd.exchange", "exchange", "Run the embedded exchange alone."),
    "data": ("livespot_cmd.data", "data", "Make, check and record data sets."),
    "doctor": ("livespot_cmd.doctor", "doctor", "Check everything a run needs."),
    "migrate": ("livespot_cmd.migrate", "migrate", "Create or upgrade the database."),
    "status": ("livespot_cmd.status", "status", "Show the top of the panel here."),
    "drill": ("livespot_cmd.drill", "drill", "Crash on purpose with your settings."),
    "rehearse-swap": (
        "livespot_cmd.rehearse_swap",
        "rehearse_swap",
        "Prove that a stop can be swapped, for VIRTUAL trailing.",
    ),
    "verify": ("livespot_cmd.verify", "verify", "Check a run against what it promised."),
    "report": ("livespot_cmd.report", "report", "Report on a recorded run."),
    "triage": ("livespot_cmd.report", "triage", "Look at a finished run first."),
    "next": ("livespot_cmd.next_step", "next_step", "Say the one thing to do now, and why."),
    "backup": ("livespot_cmd.backup", "backup", "Copy a state directory, with hashes."),
    "restore": ("livespot_cmd.backup", "restore", "Put a proven backup in place."),
    "explain": ("livespot_cmd.explain", "explain", "Say why: a code, a decision, a symbol."),
    "config": ("livespot_cmd.config", "config", "Show, check and explain the configuration."),
    "pause": ("livespot_cmd.operator_commands", "pause", "Stop entries until you resume."),
    "resume": ("livespot_cmd.operator_commands", "resume", "Leave PAUSE, with a reason."),
    "release": ("livespot_cmd.operator_commands", "release", "End a symbol's quarantine."),
    "stop": ("livespot_cmd.operator_commands", "stop", "Shut the running process down safely."),
    "halt": ("livespot_cmd.operator_commands", "halt", "Write the STOP file: end, and stay ended."),
    "exposure": ("livespot_cmd.exposure", "exposure", "Register positions of your own."),
}


class LazyGroup(SuggestingGroup):
    """Lists commands from a table, and imports a command's module only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table itself, so that `--help` imports no command."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: livespot sim --for 3m. Exit codes: 0 clean, 1 a difference or a finding, "
    "2 usage or configuration, 3 preflight, 4 live lock, 5 second instance, 10 ended in PAUSE, "
    "20 watchdog, 30 audit unwritable.",
)
@click.version_option(__version__, prog_name="livespot")
def livespot() -> None:
    """A 24/7 Binance Spot trading runtime whose first promise is control."""


def main() -> int:
    """Run a command; every expected error becomes a sentence and an exit code."""
    from livespot.contracts.errors import ExitCode, LivespotError
    from livespot_cmd.failing import named, tell, tell_system
    from livespot_cmd.options import Given

    given = Given()
    # Files that a command or its child creates are accessible by their owner only.
    os.umask(0o077)
    try:
        result = livespot.main(prog_name="livespot", standalone_mode=False, obj=given)
    except click.ClickException as error:
        if isinstance(error, click.UsageError):
            error = click.UsageError(named(error.format_message(), given.var), error.ctx)
        error.show()
        return ExitCode.USAGE
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        return 130
    except LivespotError as error:
        return tell(error, given.var)
    except OSError as error:
        return tell_system(error, given.var)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
