"""The documents say what is: commands, paths, charts and tables are held against the code."""

import ast
import re
from pathlib import Path

import click
import pytest

from livespot.contracts.catalogue import CATALOGUE
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.contracts.vocabulary import SysMode
from livespot.rules.recovery import RecoveryChoice
from livespot.rules.sysmode import ModeChart
from livespot.runtime.wiring import lay_wires
from livespot.testing import documents
from livespot.testing.clock import ManualClock
from livespot_cmd.main import livespot

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = set(
    livespot.list_commands(livespot.make_context("livespot", [], resilient_parsing=True))
)
# What a run creates and a checkout does not hold.
_MADE_LATER = re.compile(r"^(var/|\.venv/|\.env$)")
_TOP = (
    "cmd/",
    "internal/",
    "prompts/",
    "scripts/",
    "tests/",
    "docs/",
    "var/",
    ".venv/",
    "./scripts/",
)
_CODE = re.compile(r"`([^`\n]+)`")
_FENCED = re.compile(r"^\s*```[a-z]*\n(.*?)^\s*```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s#]+)?(#[^)\s]+)?\)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _snippets(text: str) -> list[str]:
    """What is set as code: words in backticks, and the lines of code blocks."""
    blocks = [line.strip() for block in _FENCED.findall(text) for line in block.splitlines()]
    return [*_CODE.findall(_FENCED.sub("", text)), *blocks]


def _anchor(heading: str) -> str:
    """The address of a heading, as code hosts build it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return "#" + kept.replace(" ", "-")


@every_page
def test_every_command_that_is_named_exists(page: Path) -> None:
    called = {
        found[1]
        for snippet in _snippets(page.read_text(encoding="utf-8"))
        for found in re.finditer(r"(?:^|\s|/)livespot ([a-z]+(?:-[a-z]+)*)", snippet)
    }

    assert called <= COMMANDS


@every_page
def test_every_option_that_is_named_exists(page: Path) -> None:
    unknown = []
    for snippet in _snippets(page.read_text(encoding="utf-8")):
        found = re.match(r"(?:\S*/)?livespot ([a-z]+)(.*)", snippet)
        if found is None or found[1] not in COMMANDS:
            continue
        context = livespot.make_context("livespot", [], resilient_parsing=True)
        command = livespot.get_command(context, found[1])
        assert command is not None
        below = command.commands.values() if isinstance(command, click.Group) else ()
        params = [parameter for it in (command, *below) for parameter in it.params]
        known = {name for parameter in params for name in parameter.opts}
        unknown += [f"{found[1]} {o}" for o in re.findall(r"--[a-z-]+", found[2]) if o not in known]

    assert unknown == []


@every_page
def test_every_path_that_is_named_exists(page: Path) -> None:
    missing = []
    for snippet in _snippets(page.read_text(encoding="utf-8")):
        for word in snippet.split():
            path = word.strip("\"'(),;:").removeprefix("./")
            if not word.startswith(_TOP) or _MADE_LATER.match(path):
                continue
            if not (ROOT / path).exists():
                missing.append(word)

    assert missing == []


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        there = (page.parent / target).resolve() if target else page
        if not there.exists():
            broken.append(target)
        elif anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            if anchor not in {_anchor(heading) for heading in headings}:
                broken.append(target + anchor)

    assert broken == []


@every_page
def test_the_drawn_parts_equal_the_code(page: Path) -> None:
    """When this fails, run scripts/docs."""
    text = page.read_text(encoding="utf-8")

    assert documents.refreshed(text) == text


def test_every_drawn_part_is_shown_exactly_once() -> None:
    shown = [name for page in PAGES for name in documents.markers(page.read_text(encoding="utf-8"))]

    assert sorted(shown) == sorted(documents.generated())


def test_the_architecture_shows_every_move_of_the_mode_chart() -> None:
    chart = _text("docs/architecture.md")

    for state in ModeChart.states:
        for transition in state.transitions:
            assert f"{state.id} --> {transition.target.id} : {transition.event.title()}" in chart


def test_the_architecture_shows_every_mailbox() -> None:
    text = _text("docs/architecture.md")

    for box in lay_wires(ManualClock()).measured():
        assert f"| {box.name} | {box.policy} | {box.capacity} |" in text


def test_the_architecture_tells_of_every_actor_that_is_wired() -> None:
    wired = {
        module.removeprefix("livespot.actors.")
        for crew in ("crew", "market_crew")
        for node in ast.walk(ast.parse(_text(f"internal/livespot/runtime/{crew}.py")))
        if isinstance(node, ast.ImportFrom)
        and (module := node.module or "").startswith("livespot.actors.")
    }

    # The messages between them, what takes one, and where the operator's lie are no actors.
    assert wired - {"mail", "wires", "letter_box"} | {"audit"} == set(documents.ACTORS.values())


def test_every_actor_says_what_it_reads_writes_and_owns() -> None:
    sections = documents.generated()["actors"].split("#### ")[1:]

    silent = {
        section.splitlines()[0]: part
        for section in sections
        for part in ("Reads", "Writes", "Owns")
        if f"- **{part}** " not in section
    }

    assert silent == {}


def test_the_runbook_holds_every_reason_code_with_meaning_and_action() -> None:
    text = _text("docs/runbook.md")

    for code in ReasonCode:
        entry = CATALOGUE[code]
        assert f"`{code}` | {entry.meaning} | {entry.action} |" in text


def test_the_first_page_of_the_runbook_explains_every_mode_and_every_exit_code() -> None:
    night = _text("docs/runbook.md").partition("## Trading real money")[0]

    assert all(f"| {mode} |" in night for mode in SysMode)
    assert all(f"| {int(code)} |" in night for code in ExitCode)


def test_the_readme_lists_exactly_the_commands_and_exit_codes_there_are() -> None:
    text = _text("README.md")

    assert set(re.findall(r"^\| `livespot ([a-z-]+)` \|", text, re.MULTILINE)) == COMMANDS
    assert {int(n) for n in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == set(ExitCode)


def test_the_readme_promises_no_command_that_is_missing() -> None:
    """What is named as not there yet must indeed not be there."""
    absent = _text("README.md").partition("## What is not there yet")[2]

    assert COMMANDS.isdisjoint(re.findall(r"`([a-z-]+)`", absent))


def test_the_architecture_names_every_way_a_boot_may_go_on() -> None:
    text = _text("docs/architecture.md")

    assert all(f"`{choice}`" in text for choice in RecoveryChoice)


def test_the_readme_turns_foreign_clients_by_the_lines_that_are_tested() -> None:
    section = _text("README.md").partition("## Point your own bot here")[2].partition("\n## ")[0]
    (block,) = (text for text in _FENCED.findall(section) if "ccxt" in text)
    lines = [line.strip() for line in block.splitlines() if line.strip() and line[0] != "#"]
    tested = {line.strip() for line in _text("docs/exchange.md").splitlines()}

    assert len(lines) > 10
    assert set(lines) <= tested


def test_the_readme_stays_short_enough_to_be_read() -> None:
    assert len(_text("README.md").splitlines()) < 175


def test_decisions_are_numbered_once_and_have_their_three_parts() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [record.name[:4] for record in records]

    assert len(set(numbers)) == len(numbers)
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert re.match(rf"# {record.name[:4]} \S", text), record.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequence",
        ]
        assert re.search(r"^\d{4}-\d{2}-\d{2}$", text, re.MULTILINE), record.name
