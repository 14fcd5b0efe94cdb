"""The table of faults names tests and codes that exist, or says that a row is not covered."""

import re
from pathlib import Path

from livespot.contracts.codes import ReasonCode

ROOT = Path(__file__).resolve().parents[1]
_PAGE = ROOT / "docs" / "faults-covered.md"
_ROW = re.compile(r"^\| (F\d{3}) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)` `(test_\w+)`")
_CODE = re.compile(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`")


def _rows() -> list[tuple[str, str, str, str]]:
    found: list[tuple[str, str, str, str]] = _ROW.findall(_PAGE.read_text(encoding="utf-8"))
    return found


def test_the_page_has_a_row_of_its_own_for_each_fault_in_their_order() -> None:
    lines = [x for x in _PAGE.read_text(encoding="utf-8").splitlines() if x.startswith("| F")]
    numbers = [number for number, *_ in _rows()]

    assert len(numbers) == len(lines) > 140
    assert numbers == sorted(set(numbers))


def test_a_row_names_tests_or_says_that_there_is_none() -> None:
    for number, _, here, shown in _rows():
        covered = bool(_TEST.findall(shown))
        assert covered != (shown == "not covered"), number
        assert covered != here.startswith("Not covered"), number


def test_every_named_test_exists() -> None:
    named = {pair for *_, shown in _rows() for pair in _TEST.findall(shown)}
    missing = []
    for path, test in sorted(named):
        file = ROOT / path
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if not re.search(rf"^(async )?def {test}\(", text, re.MULTILINE):
            missing.append(f"{path}::{test}")

    assert missing == []


def test_every_named_code_is_in_the_catalogue() -> None:
    named = {code for _, _, here, _ in _rows() for code in _CODE.findall(here)}

    # The state of an intent is no code.
    assert named - {code.value for code in ReasonCode} == {"SENT_UNKNOWN"}
