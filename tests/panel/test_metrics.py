"""Figures about positions in the metrics, read back by the format's own parser."""

from pathlib import Path

import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from livespot.panel.dashboard import Dashboard
from livespot.panel.database import opened
from livespot.panel.metrics import metrics_text
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.panel.survival_queries import read_survival
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story


@pytest.fixture
async def told(tmp_path: Path) -> Dashboard:
    path = rows.fresh(tmp_path)
    await story.told(path)
    async with opened(path) as database:
        return await read_dashboard(database, Vantage(now_ms=story.NOW_MS))


def figures(dashboard: Dashboard) -> dict[str, float]:
    """The samples without labels."""
    families = text_string_to_metric_families(metrics_text(dashboard).decode())
    return {
        sample.name: sample.value for f in families for sample in f.samples if not sample.labels
    }


async def test_the_longest_present_time_without_a_stop_is_a_figure(told: Dashboard) -> None:
    (line,) = told.positions
    bare = [
        structs.replace(line, protected=False, unprotected_since_ms=told.now_ms - ms)
        for ms in (1500, 4000)
    ]

    exposed = figures(structs.replace(told, positions=(line, *bare)))

    assert exposed["livespot_positions_unprotected"] == 2
    assert exposed["livespot_positions_unprotected_oldest_seconds"] == 4


async def test_behind_a_stop_that_time_is_nothing(told: Dashboard) -> None:
    assert figures(told)["livespot_positions_unprotected_oldest_seconds"] == 0


async def test_how_the_run_survived_is_told_and_what_is_unknown_has_no_sample(
    told: Dashboard, tmp_path: Path
) -> None:
    async with opened(tmp_path / "data" / "audit.sqlite") as database:
        counted = await read_survival(database, story.NOW_MS)
    assert counted.run is not None

    exposed = figures(structs.replace(told, survival=counted))

    assert exposed["livespot_run_internal_failures"] == 0
    assert exposed["livespot_run_unprotected_max_seconds"] == 0.012
    assert exposed["livespot_exposures_by_hand"] == 0
    unknown = structs.replace(counted.run, missed_fills=None)
    silent = figures(structs.replace(told, survival=structs.replace(counted, run=unknown)))
    assert "livespot_run_missed_fills" not in silent
    assert "livespot_run_internal_failures" not in figures(told)
