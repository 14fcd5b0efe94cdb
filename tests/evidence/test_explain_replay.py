"""Every why of a stretch of market that the whole runtime really lived through."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.runtime.test_upkeep import rounds

from livespot.evidence.answers import check_answers, check_recomputed
from livespot.evidence.decision_trace import matching, trace
from livespot.evidence.endings import check_endings
from livespot.evidence.links import Passage
from livespot.evidence.recompute import recompute
from livespot.evidence.trail_walk import walk
from livespot.evidence.why import why_not
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_run import ReplayOrder, run_virtual
from livespot.store.inline import InlineReader
from livespot.store.reader import ReadOnlyDatabase

pytestmark = pytest.mark.slow
_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)
_MINUTE_MS = 60_000
_SET = "UPDATE {0} SET {1} = json_set({1}, '{2}', '{3}')"
_SYMBOLS = frozenset({"SOLUSDT", "MATICUSDT", "ETHUSDT", "BNBUSDT"})


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve minutes of four symbols; one of them is bought and stopped out."""
    order = ReplayOrder(
        paths=Paths(var=tmp_path_factory.mktemp("lived")),
        loaded=load_settings(None, path="defaults"),
        start_ms=_START_MS,
        span_ms=12 * _MINUTE_MS,
        seed=7,
        exchange=ExchangeSettings(symbols=_SYMBOLS),
    )
    return run_virtual(order).database


def _asked(database: Path, question: Any, *values: Any) -> Any:
    async def ask() -> Any:
        return await question(InlineReader(database), *values)

    return anyio.run(ask)


def _changed(database: Path, directory: Path, sql: str) -> Path:
    """A copy in which somebody has changed something."""
    copy = directory / "changed.sqlite"
    with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(copy)) as new:
        old.backup(new)
        new.execute(sql)
        new.commit()
    return copy


def test_no_candidate_vanishes(database: Path) -> None:
    findings = _asked(database, check_endings)

    assert [(f.id, f.detail) for f in findings if not f.proven] == []


def test_every_decision_and_verdict_follows_from_what_is_stored(database: Path) -> None:
    finding = _asked(database, check_recomputed)

    assert finding.proven, finding.detail
    assert finding.looked_at >= 4


def test_every_symbol_has_an_answer_at_every_instant(database: Path) -> None:
    async def ask(reader: InlineReader) -> Any:
        # No divisor of any cycle, so that instants fall everywhere.
        return await check_answers(reader, every_ms=17_011)

    finding = _asked(database, ask)

    assert finding.proven, finding.detail
    assert finding.looked_at > 4 * 40


async def test_what_stays_of_a_run_behind_anchors_still_has_its_answers(
    database: Path, tmp_path: Path
) -> None:
    """Years later: scans, blocks and snapshots without an order are gone, the trade is not."""
    shutil.copytree(database.parent.parent, tmp_path / "var")
    paths = Paths(var=tmp_path / "var")
    await rounds(paths, 2)
    reader = ReadOnlyDatabase(paths.database)
    [decision_id] = await matching(reader, "dec_")

    findings = {finding.id: finding for finding in await check_endings(reader)}
    answers = await check_answers(reader, every_ms=17_011)

    assert (await walk(reader, paths.logs)).pruned > 100
    assert [finding.detail for finding in findings.values() if finding.violated] == []
    assert "(pruned on 2026-05-02, see runs/run_" in findings["universe"].detail
    assert (await check_recomputed(reader)).proven
    assert (await recompute(reader, decision_id)).identical
    assert answers.proven, answers.detail
    assert (await trace(reader, decision_id)).headline.startswith("SOLUSDT was proposed at")


def test_the_whole_trade_is_told_from_the_database(database: Path) -> None:
    [decision_id] = _asked(database, matching, "dec_")
    told = _asked(database, trace, decision_id)

    said = {section.name: "\n".join(section.lines) for section in told.sections}
    assert [*said] == [
        "snapshot", "decision", "gate", "risk", "reserve", "intents", "orders", "fills",
        "protection", "result", "end",
    ]  # fmt: skip
    assert told.headline.startswith("SOLUSDT was proposed at 2021-04-22T00:05:05")
    assert "STOP_LOSS" in told.headline
    assert "STRAT_PULLBACK_OK" in said["decision"]
    assert "by the exposure limit of the symbol" in said["risk"]
    assert "CREATED -> SENT_UNKNOWN" in said["intents"]
    assert "UNPROTECTED -> PROTECTED" in said["protection"]
    assert "realised" in said["result"]


def _first_block_ms(database: Path, symbol: str) -> int:
    sql = "SELECT min(at_ms) FROM decisions WHERE outcome = 'BLOCKED' AND symbol = ?"
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(sql, (symbol,)).fetchone()[0])


def test_a_held_symbol_was_in_trade_and_before_that_blocked(database: Path) -> None:
    held = _asked(database, why_not, "SOLUSDT", _START_MS + 3 * _MINUTE_MS)
    before = _asked(database, why_not, "SOLUSDT", _first_block_ms(database, "SOLUSDT"))

    assert "was in trade" in held.headline
    assert [link.passage for link in held.links][-1] is Passage.TRADED
    assert "STRAT_VOLUME_LOW" in before.codes
    assert "5m volume ratio 0.4941 < 1.3200" in before.headline


def test_a_time_outside_every_run_says_what_was_then(database: Path) -> None:
    early = _asked(database, why_not, "SOLUSDT", _START_MS - 1)
    late = _asked(database, why_not, "SOLUSDT", _START_MS + 99 * _MINUTE_MS)

    assert "the first run began at 2021-04-22T00:03:00.000Z" in early.headline
    assert "ended with exit code 0" in late.headline
    assert (early.links, late.links) == ((), ())


@pytest.mark.parametrize(
    ("sql", "subject", "field"),
    [
        (
            _SET.format("decisions", "decision_json", "$.entry_plan.qty", "9.99")
            + " WHERE outcome = 'PROPOSED'",
            "decision",
            "entry_plan.qty",
        ),
        (
            _SET.format("risk_verdicts", "account_json", "$.free_quote", "50"),
            "risk verdict 1",
            "approved_qty",
        ),
        (
            _SET.format("snapshots", "snapshot_json", "$.prices.best_bid", "32.1"),
            "snapshot",
            "snapshot_hash",
        ),
        ("UPDATE risk_verdicts SET reasons = '[\"RISK_OK\"]'", "risk verdict 1", "reasons"),
    ],
)
def test_whatever_was_changed_afterwards_no_longer_follows(
    database: Path, tmp_path: Path, sql: str, subject: str, field: str
) -> None:
    changed = _changed(database, tmp_path, sql)
    [decision_id] = _asked(changed, matching, "dec_")

    told = _asked(changed, recompute, decision_id)

    first = next(item for item in told.compared if not item.identical)
    assert (first.subject, first.field) == (subject, field)
    assert first.stored != first.recomputed


def test_another_process_with_other_string_hashes_recomputes_the_same(database: Path) -> None:
    [decision_id] = _asked(database, matching, "dec_")
    var = database.parent.parent
    command = ["explain", decision_id[:16], "--recompute", "--var", str(var)]

    done = subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", *command],
        env={**os.environ, "PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert f"{decision_id} is identical." in done.stdout
