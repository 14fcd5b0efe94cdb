"""The panel counts what a finished run's evidence counts, by the database alone and in bounds."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import asdict

from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import AlertRow
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.evidence.survival import Survival
from livespot.evidence.survival import read_survival as evidence
from livespot.panel import survival_queries
from livespot.panel.database import opened
from livespot.panel.survival_queries import SurvivalCount, read_survival
from livespot.panel.tabs import SurvivalView
from livespot.runtime.clock import SystemClock
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run, ledger_rows


def same(panel: SurvivalView | None, evidence: Survival) -> None:
    """Every figure the panel has is the evidence's, and what is unknown is for the same reason."""
    assert panel is not None
    shown = asdict(panel)
    told = asdict(evidence) | {"modes_ms": {one.name: one.count for one in evidence.modes_ms}}
    told["unknown"] = {name: why for name, why in told["unknown"].items() if name in shown}
    assert shown == {name: told[name] for name in shown}


@pytest.mark.parametrize("spoilt", [False, True])
async def test_the_panel_counts_what_the_evidence_counts(tmp_path: Path, spoilt: bool) -> None:
    path = await finished_run.told(tmp_path)
    if spoilt:
        alert = Alert(severity=Severity.CRIT, code=ReasonCode.ACTOR_FAILED, reasons=(), text="x")
        await finished_run.write(path, AlertRow(alert=alert), ledger_rows.run_started("run_second"))
    run_id = "run_second" if spoilt else finished_run.RUN

    async with opened(path) as database:
        counted = await read_survival(database, 5)

    told = await evidence(ReadOnlyDatabase(path), run_id)
    same(counted.run, told.of_this_run)
    same(counted.over_runs, told.over_runs)
    assert counted.at_ms == 5


async def test_a_database_without_a_run_says_so(tmp_path: Path) -> None:
    async with opened(ledger_rows.fresh(tmp_path)) as database:
        counted = await read_survival(database, 1)

    assert (counted.run, counted.over_runs) == (None, None)
    assert set(counted.unknown) == {"run", "over_runs"}


async def test_a_count_that_is_too_long_is_unknown_and_spoils_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        survival_queries,
        "_FILLS",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    )
    async with opened(await finished_run.told(tmp_path)) as database:
        counted = await read_survival(database, 1)
        row = await database.first("SELECT 1")

    assert counted.run is None
    assert "interrupted" in counted.unknown["run"]
    assert row == (1,)


async def test_hundreds_of_runs_with_their_alerts_are_counted_within_the_bound(
    tmp_path: Path,
) -> None:
    path = await finished_run.told(tmp_path)
    runs = [f"run_{number:03d}" for number in range(400)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO runs SELECT ?, mode, started_at_ms, config_hash, config_json, "
            "prompt_hash, version, platform, account_label, '', 0, -1, '[]', 0 FROM runs LIMIT 1",
            [(run,) for run in runs],
        )
        connection.executemany(
            "INSERT INTO alerts (run_id, severity, code, reasons, text, symbol, at_ms) "
            "VALUES (?, 'INFO', 'DATA_GAP_DETECTED', '[]', '', '', 1)",
            [(run,) for run in runs * 50],
        )
    async with opened(path, SystemClock()) as database:
        counted = await read_survival(database, 1)

    assert counted.unknown == {}
    assert counted.over_runs is not None
    assert counted.over_runs.runs == len(runs) + 1


async def test_it_is_counted_once_a_minute(tmp_path: Path) -> None:
    count = SurvivalCount(SystemClock())
    async with opened(await finished_run.told(tmp_path)) as database:
        first = await count.lately(database, 1)
        second = await count.lately(database, 2)

    assert (first.at_ms, second.at_ms) == (1, 1)
