"""The documents about faults and the journal say what the program does."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from livespot.exchange import journal
from livespot.exchange.faults.loader import fault_of, plan_of
from livespot.exchange.faults.plan import VERBS, FaultPlan, Match, When

DOCS = Path(__file__).parents[3] / "docs"
FAULTS = (DOCS / "exchange-faults.md").read_text(encoding="utf-8")
JOURNAL = (DOCS / "exchange-journal.md").read_text(encoding="utf-8")
PLANS = re.findall(r"```toml\n(.*?)```", FAULTS, re.DOTALL)
ROWS = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(journal.RequestRow, journal.ReplyRow, journal.OrderRow, journal.ListRow),
        *(journal.FillRow, journal.BalanceRow, journal.EventRow, journal.ModeRow),
        journal.LifeRow,
    )
}


def rows_of(text: str, heading: str) -> list[list[str]]:
    """Cells of the tables below a heading, without their head."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    found = next(part for part in section if part.startswith(heading))
    lines = [line for line in found.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_there_are_four_plans_and_each_can_be_loaded() -> None:
    plans = [plan_of(tomllib.loads(text)) for text in PLANS]

    assert [plan.faults[0].id for plan in plans] == ["lost-ack", "ban", "silence", "jump"]


def test_the_fault_sent_by_hand_can_be_loaded() -> None:
    body = re.search(r"-d '(.*?)'", FAULTS)

    assert body is not None
    assert fault_of(msgspec.json.decode(body[1])).id == "cut"


def test_every_verb_has_one_row_with_its_members() -> None:
    told = {names(cells[0])[0]: names(cells[1]) for cells in rows_of(FAULTS, "Verbs")}

    assert list(told) == list(VERBS)
    for name, kind in VERBS.items():
        fields = [field.encode_name for field in msgspec.structs.fields(kind)]
        assert sorted(told[name]) == sorted(fields), name


def test_every_member_of_a_plan_is_explained() -> None:
    told = [names(cells[0])[0] for cells in rows_of(FAULTS, "A plan")]

    wanted = [f.name for kind in (FaultPlan, Match, When) for f in msgspec.structs.fields(kind)]
    assert sorted(told) == sorted(wanted)


@pytest.mark.parametrize("tag", ROWS)
def test_every_field_of_the_journal_is_explained(tag: str) -> None:
    told = [names(cells[0])[0] for cells in rows_of(JOURNAL, f"`{tag}`")]

    assert sorted(told) == sorted(field.encode_name for field in msgspec.structs.fields(ROWS[tag]))


def test_no_kind_of_row_is_left_out() -> None:
    headings = re.findall(r"^## `(\w+)`", JOURNAL, re.MULTILINE)

    assert sorted(headings) == sorted(ROWS)
    assert set(ROWS.values()) == set(get_args(journal.Row))
