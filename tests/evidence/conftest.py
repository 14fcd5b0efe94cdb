from typing import NamedTuple

import anyio
import pytest

from livespot.evidence.facts import read_facts
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts
from livespot.runtime.simulation_journal import read_rows
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run, finished_run_journal


class Story(NamedTuple):
    """What both sides say of the finished run in which everything is right."""

    facts: Facts
    journal: JournalRows


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    directory = tmp_path_factory.mktemp("finished")

    async def read() -> Facts:
        path = await finished_run.told(directory)
        return await read_facts(ReadOnlyDatabase(path), directory / "logs", finished_run.RUN)

    return Story(
        facts=anyio.run(read),
        journal=read_rows(finished_run_journal.journal(directory / "exchange-journal.jsonl")),
    )


@pytest.fixture
def facts(story: Story) -> Facts:
    return story.facts


@pytest.fixture
def journal(story: Story) -> JournalRows:
    return story.journal
