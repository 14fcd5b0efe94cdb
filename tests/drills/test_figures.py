"""Duplicates and lost fills are counted from what the exchange wrote down."""

from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from msgspec.structs import replace

from livespot.drills.figures import duplicates, lost_fills
from livespot.evidence.facts import read_facts
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts
from livespot.runtime.simulation_journal import read_rows
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run, finished_run_journal


class _Story(NamedTuple):
    facts: Facts
    journal: JournalRows


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> _Story:
    """A run in which everything is right."""
    directory: Path = tmp_path_factory.mktemp("finished")

    async def read() -> Facts:
        path = await finished_run.told(directory)
        return await read_facts(ReadOnlyDatabase(path), directory / "logs", finished_run.RUN)

    journal = finished_run_journal.journal(directory / "exchange-journal.jsonl")
    return _Story(facts=anyio.run(read), journal=read_rows(journal))


def test_a_run_in_which_everything_is_right_counts_nothing(story: _Story) -> None:
    assert duplicates(story.facts, story.journal) == 0
    assert lost_fills(story.facts, story.journal) == 0


def test_a_second_order_under_one_client_id_is_a_duplicate(story: _Story) -> None:
    done = next(order for order in story.journal.orders if not order.is_open)
    again = replace(done, order_id=99)
    journal = replace(story.journal, orders=(*story.journal.orders, again))

    assert duplicates(story.facts, journal) == 1


def test_a_second_entry_beside_a_standing_one_is_a_duplicate(story: _Story) -> None:
    standing = next(order for order in story.journal.orders if order.client_order_id == "X_b")
    entry = story.facts.intent_of()["X_b"]
    another = replace(entry, order_intent_id="oi_other", client_order_id="X_other")
    alias = replace(story.facts.aliases[0], client_order_id="X_other", order_intent_id="oi_other")
    facts = replace(
        story.facts,
        intents=(*story.facts.intents, another),
        aliases=(*story.facts.aliases, alias),
    )
    second = replace(standing, client_order_id="X_other", order_id=99)
    journal = replace(story.journal, orders=(*story.journal.orders, second))

    assert duplicates(facts, journal) == 1


def test_an_execution_the_ledger_does_not_hold_is_lost(story: _Story) -> None:
    facts = replace(story.facts, fills=story.facts.fills[1:])

    assert lost_fills(facts, story.journal) == 1
