"""Advice that can be typed as it stands: a command names its state directory where it must."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livespot.panel.dashboard import Dashboard
    from livespot.runtime.paths import Paths

# Commands that take --var, behind the name of their group where they have one. One that names its
# place already, within the same clause, is left alone; so is the past tense of a backup.
_COMMAND = re.compile(
    r"livespot ((?:config|exposure) (?:show|check|diff|open|list|close)|sim|soak|live|shadow|doctor"
    r"|drill|migrate|rehearse-swap|status|next|explain|verify|report|triage|backup|restore|pause"
    r"|resume|release|stop|halt)\b(?!-)(?! wrote)(?![^\n,;`]* --(?:var|db) \S)"
)
_TYPED = re.compile(r"^Next: .*$|`[^`\n]+`", re.MULTILINE | re.IGNORECASE)


def placed(text: str, paths: "Paths") -> str:
    """The text with `--var` in every command that would look at another directory without it."""
    there = paths.var.resolve()

    def named(found: re.Match[str]) -> str:
        if _default(found[1]).resolve() == there:
            return found[0]
        return f"{found[0]} --var {shlex.quote(str(paths.var))}"

    return _COMMAND.sub(named, text)


def placed_advice(text: str, paths: "Paths") -> str:
    """The same for a text that may also speak of commands: only what is to be typed is placed.

    That is what stands in a line that begins with `Next:`, and between backquotes.
    """
    return _TYPED.sub(lambda found: placed(found[0], paths), text)


def placed_fold(dashboard: "Dashboard", paths: "Paths") -> "Dashboard":
    """The same first fold with every command placed: the next step, and what each reason asks."""
    from msgspec.structs import replace

    step, header = dashboard.next, dashboard.header
    step = replace(step, action=placed(step.action, paths), why=placed(step.why, paths))
    reasons = tuple(
        replace(reason, action=placed(reason.action, paths)) for reason in header.reasons
    )
    process = dashboard.process
    process = replace(process, look=placed(process.look, paths), again=placed(process.again, paths))
    return replace(dashboard, next=step, process=process, header=replace(header, reasons=reasons))


def _default(command: str) -> Path:
    """Where a command looks that is typed without `--var`."""
    from livespot.runtime.paths import default_var, present_var, sim_var, soak_var

    match command:
        case "sim" | "rehearse-swap":
            return sim_var()
        case "soak":
            return soak_var()
        case "shadow":
            return default_var() / "shadow"
        case "live" | "migrate" | "drill" | "restore":
            return default_var()
        case _:
            return present_var()[0]
