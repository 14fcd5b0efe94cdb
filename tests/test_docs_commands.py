"""Every command the pages set in a block can be typed as it stands: the program itself reads it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from livespot_cmd.main import livespot

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^ *```([a-z]*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# What stands before the program when another one starts it.
_PROGRAM = re.compile(r"(?:^|\s)(?:[\w./-]*/)?livespot(?=\s+[a-z]+(?:\s|$))")
# Scripts that hand their arguments to a command.
_SCRIPTS = {"scripts/run": "sim", "scripts/live.sh": "live --live"}


def _lines(page: Path) -> Iterator[str]:
    """The lines of all blocks, without prompts, comments and line continuations."""
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language not in ("", "console"):
            continue
        lines = [line.strip() for line in block.replace("\\\n", " ").splitlines()]
        # Where there are prompts, the other lines are answers.
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in prompted or lines:
            yield re.sub(r"\s+#.*$", "", line)


def _typed(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments of each command of ours."""
    for line in _lines(page):
        for script, command in _SCRIPTS.items():
            if line.removeprefix("./").startswith(script):
                line = f"livespot {command}{line.removeprefix('./').removeprefix(script)}"
        found = _PROGRAM.search(line)
        if found is None:
            continue
        words = shlex.split(re.split(r"\s[>|&]", line[found.end() :])[0])
        yield words[0], words[1:]


def _fault(name: str, arguments: list[str]) -> str:
    """Why the program would not take it; empty when it would."""
    command = livespot.get_command(click.Context(livespot), name)
    if command is None:
        return f"there is no command {name}"
    while isinstance(command, click.Group):
        group, name, arguments = command, arguments[0], arguments[1:]
        command = group.get_command(click.Context(group), name)
        if command is None:
            return f"there is no command {name} in {group.name}"
    try:
        command.make_context(name, list(arguments))
    except click.UsageError as error:
        # Files in an example are the reader's own.
        if error.format_message().endswith("does not exist."):
            return ""
        return f"{name} {shlex.join(arguments)}: {error.format_message()}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_block_can_be_typed(page: Path) -> None:
    faults = [_fault(name, arguments) for name, arguments in _typed(page)]

    assert [fault for fault in faults if fault] == []


def test_the_blocks_are_read_at_all() -> None:
    typed = {page.name: [name for name, _ in _typed(page)] for page in PAGES}

    assert typed["README.md"][:2] == ["sim", "exchange"]
    assert {"status", "resume", "explain", "next", "migrate"} <= set(typed["runbook.md"])
    assert typed["deployment.md"].count("live") == 1
    assert sum(map(len, typed.values())) > 30


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("fly", "there is no command fly"),
        ("status --wach", "No such option"),
        ("resume", "Missing option"),
        ("exposure opne SOLUSDT", "there is no command opne in exposure"),
        ("sim --for soon", "is not a span of time"),
        ("migrate now", "unexpected extra argument"),
    ],
)
def test_what_the_program_would_refuse_is_noticed(line: str, why: str) -> None:
    name, *arguments = shlex.split(line)

    assert why in _fault(name, arguments)
