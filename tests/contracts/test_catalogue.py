"""Every reason code has a meaning and something to do about it, and is raised or marked."""

import ast
from collections.abc import Iterator
from pathlib import Path

import livespot
import livespot_cmd
from livespot.contracts import catalogue, errors
from livespot.contracts.catalogue import CATALOGUE, RESERVED, number_of
from livespot.contracts.codes import ReasonCode

# What defines or explains codes does not raise them; what only tests raise, nobody does; and the
# embedded exchange is not part of the runtime.
_DEFINING = {("contracts", "codes.py"), ("contracts", "catalogue.py")}
_ASIDE = {"testing", "evidence", "panel", "exchange"}


def _sources() -> Iterator[Path]:
    for package in (livespot, livespot_cmd):
        root = Path(str(package.__file__)).parent
        for path in root.rglob("*.py"):
            parts = path.relative_to(root).parts
            if parts[-2:] not in _DEFINING and parts[0] not in _ASIDE:
                yield path


def _raised() -> dict[str, Path]:
    return {
        node.attr: path
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "ReasonCode"
    }


def test_every_code_is_explained() -> None:
    assert set(CATALOGUE) == set(ReasonCode)


def test_every_entry_is_a_sentence_with_an_action() -> None:
    for entry in CATALOGUE.values():
        assert entry.meaning.endswith(".")
        assert entry.action.endswith(".")
        assert entry.by_itself.endswith(".") or not entry.by_itself
        assert entry.over.endswith(".")
        assert entry.reserved.endswith(".") or not entry.reserved


def test_no_cell_of_the_catalogue_breaks_a_table() -> None:
    for entry in CATALOGUE.values():
        assert "|" not in "".join(
            (entry.meaning, entry.action, entry.by_itself, entry.reserved, entry.over)
        )


def test_numbers_follow_the_blocks() -> None:
    assert number_of(ReasonCode.ALERT_RAISED) == 1000
    assert number_of(ReasonCode.STRAT_WARMUP) == 6031
    assert len({number_of(code) for code in ReasonCode}) == len(ReasonCode)


def test_every_code_is_raised_somewhere_or_says_why_it_is_not() -> None:
    raised = _raised()

    silent = [code.value for code in ReasonCode if code.name not in raised]

    assert silent == [code.value for code in ReasonCode if code in RESERVED]


def test_no_code_is_written_as_plain_text() -> None:
    """A code in quotes would escape the search above, and a renamed one would go unnoticed."""
    quoted = {
        f"{path.name}: {node.value!r}"
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in ReasonCode.__members__
    }

    # Some event types have the name of a code.
    assert {line for line in quoted if not line.startswith("vocabulary.py: ")} == set()


def test_a_refusal_of_the_command_line_has_a_code() -> None:
    assert errors.LockMissing("x").reason_code is ReasonCode.LIVE_LOCK_MISSING
    assert errors.SecondInstance("x").reason_code is ReasonCode.SECOND_INSTANCE
    assert errors.ConfigInvalid(["x"]).reason_code is ReasonCode.STRAT_CONFIG_INVALID
    assert errors.AuditUnwritable("x").reason_code is ReasonCode.AUDIT_WRITE_FAILED
    assert errors.Unreachable("x").reason_code is None


def test_every_word_on_how_a_code_ends_is_about_a_code_there_is() -> None:
    said = {row.partition(" | ")[0] for row in catalogue._OVER.strip().splitlines()}
    by_kind = [*catalogue._CLEARS.split(), *catalogue._EVENTS.split()]

    assert said | set(by_kind) <= set(ReasonCode)
    assert len(said) + len(by_kind) == len(said | set(by_kind))


def test_every_code_tells_how_to_know_that_it_is_over() -> None:
    assert all(entry.over for entry in CATALOGUE.values())
