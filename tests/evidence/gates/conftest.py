import shutil
from pathlib import Path

import anyio
import pytest
from tests.evidence.gates.cases import CANARY, Recorded, SubjectOf

from livespot.contracts.secret import Secret
from livespot.evidence.facts import read_facts
from livespot.evidence.gates.results import Rehearsal, Subject
from livespot.evidence.summary import summarise
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths, prompts_directory
from livespot.runtime.replay_run import ReplayOrder, run_virtual
from livespot.runtime.simulation import demo_secrets
from livespot.runtime.simulation_journal import read_rows
from livespot.store.reader import ReadOnlyDatabase

START_MS = 1_619_049_780_000  # 2021-04-22 00:03 UTC


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    paths = Paths(var=tmp_path_factory.mktemp("recorded"))
    result = run_virtual(
        ReplayOrder(
            paths=paths,
            loaded=load_settings(None, path="none"),
            start_ms=START_MS,
            span_ms=400_000,
            seed=7,
            exchange=ExchangeSettings(symbols=frozenset({"SOLUSDT"})),
        )
    )
    run_id, journal = result.run_ids[-1], read_rows(result.journal)
    summary = anyio.run(summarise, result.database, result.logs, run_id, journal)
    return Recorded(paths=paths, run_id=run_id, summary=summary)


@pytest.fixture
def place(recorded: Recorded, tmp_path: Path) -> Paths:
    """A copy of everything the run left, for a test to spoil."""
    shutil.copytree(recorded.paths.var, tmp_path / "var")
    return Paths(var=tmp_path / "var")


@pytest.fixture
def subject_of(recorded: Recorded, place: Paths, tmp_path: Path) -> SubjectOf:
    """What the gates are given of that copy, read when it is called."""

    def read() -> Subject:
        reader = ReadOnlyDatabase(place.database)

        async def rehearse() -> Rehearsal:
            return Rehearsal(summary=recorded.summary, audit_hash="0" * 64)

        return Subject(
            run_id=recorded.run_id,
            ended=True,
            var=place.var,
            database=place.database,
            reader=reader,
            facts=anyio.run(read_facts, reader, place.logs, recorded.run_id),
            journal=read_rows(place.exchange_journal),
            secrets=(Secret(CANARY),),
            demo_secrets=demo_secrets().all(),
            schemas=prompts_directory() / "schemas",
            rehearse=rehearse,
            scratch=tmp_path,
        )

    return read
