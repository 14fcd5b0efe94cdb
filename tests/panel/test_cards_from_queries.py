"""Each query of the page on the panel's cards answers, from the database, what the card shows."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from livespot.contracts.audit import AuditDraft
from livespot.contracts.chain import SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import (
    CycleRanking,
    ManualExposureRow,
    Record,
    ReserveRow,
    SymbolHealth,
)
from livespot.contracts.vocabulary import EventType, Side, Stage, SysMode
from livespot.panel.codes import CodeView
from livespot.panel.dashboard import Dashboard
from livespot.panel.database import opened
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.panel.survival_queries import read_survival
from livespot.panel.tabs import SurvivalTab, SurvivalView
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries.md"
_QUERY = re.compile(r"```sql\n-- card: (?P<card>[^\n]+)\n(?P<sql>.*?)\n```", re.DOTALL)

Answer = list[tuple[Any, ...]]


def _queries() -> dict[str, str]:
    return {match["card"]: match["sql"] for match in _QUERY.finditer(_PAGE.read_text("utf-8"))}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dashboard]:
    """A database in which every card has something to show, and the panel's view of it."""
    path = rows.fresh(tmp_path_factory.mktemp("cards"))

    async def tell() -> Dashboard:
        await story.told(path)
        why = story.reason(ReasonCode.REST_STALE_DEGRADE)
        await story.write(
            path,
            story.mode(SysMode.DEGRADE, (why,), at_ms=story.NOW_MS - 12_000),
            *_more(),
        )
        async with opened(path) as database:
            vantage = Vantage(
                now_ms=story.NOW_MS, survival=await read_survival(database, story.NOW_MS)
            )
            return await read_dashboard(database, vantage)

    return path, anyio.run(tell)


def _ranked() -> SealedEvent:
    before = story.events()[-1]
    place = msgspec.structs.replace(before.place, seq=before.place.seq + 1, prev_hash=before.hash)
    draft = AuditDraft(
        event_type=EventType.RANK_TOPN,
        stage=Stage.RANK_TOPN,
        ts_ms=place.ts_ms,
        cycle_id="cyc_0012",
    )
    return seal(draft, b"{}", place)


def _more() -> tuple[Record | SealedEvent, ...]:
    return (
        _ranked(),
        *(
            CycleRanking(
                cycle_id="cyc_0012",
                kind="TOPN",
                rank=rank,
                symbol=symbol,
                score_x10000=9000 - rank,
                dropped=rank > 1,
                reasons=(),
                features_json="{}",
                config_hash="c",
                at_ms=story.NOW_MS - 9000,
            )
            for rank, symbol in enumerate(("BTCUSDT", "ETHUSDT"), 1)
        ),
        ReserveRow(
            decision_id="dec_1",
            symbol="BTCUSDT",
            state="RESERVED",
            amount_quote=Decimal("50.25"),
            order_intent_id="",
            expires_at_ms=story.NOW_MS + 1000,
            updated_at_ms=story.NOW_MS,
        ),
        SymbolHealth(
            symbol="LTCUSDT",
            quarantined_until_ms=story.NOW_MS + 60_000,
            cause="MD_PRICE_INSANE",
            counters_json="{}",
            updated_at_ms=story.NOW_MS,
        ),
        ManualExposureRow(
            exposure_id="exp_1",
            symbol="ADAUSDT",
            side=Side.BUY,
            qty=Decimal(3),
            note="mine",
            opened_at_ms=story.NOW_MS - 5,
        ),
    )


def _codes(views: tuple[CodeView, ...]) -> str:
    return msgspec.json.encode([view.code for view in views]).decode()


def _run_survival(tab: SurvivalTab) -> SurvivalView:
    assert tab.run is not None
    return tab.run


def _header(board: Dashboard) -> Answer:
    h = board.header
    return [(h.run_id, h.mode, h.sysmode, h.previous, h.since_ms, h.started_ms, h.version)]


def _health(board: Dashboard) -> Answer:
    h = board.health
    figures = (h.disk_free_bytes, h.db_bytes, h.wal_bytes, h.writer_depth, h.writer_lag_ms)
    return [(h.at_ms, *figures, h.rss_bytes, h.clock_offset_ms, h.used_weight)]


def _counts(board: Dashboard) -> Answer:
    counts = {"CRIT": board.alerts.crit, "INFO": board.alerts.info, "WARN": board.alerts.warn}
    return [(name, count) for name, count in counts.items() if count]


def _reconcile(board: Dashboard) -> Answer:
    found = board.execution.reconcile
    assert found is not None
    drift = found.drift_score_x10000
    return [(found.at_ms, found.duration_ms, found.label, drift, found.scope)]


def _differences(board: Dashboard) -> Answer:
    found = board.execution.reconcile
    assert found is not None
    return [(diff.mismatch, diff.symbol, diff.before, diff.after) for diff in found.diffs]


def _decisions(board: Dashboard) -> Answer:
    return sorted(
        (d.symbol, d.outcome, d.edge_bps_expected, _codes(d.reasons), d.gate, d.risk)
        for d in board.decisions
    )


def _chart(board: Dashboard) -> Answer:
    (chart,) = (view.chart for view in board.market.symbols if view.symbol == "BTCUSDT")
    return [*zip(chart.at_ms, chart.close, chart.high, chart.low, strict=True)]


def _positions(board: Dashboard) -> Answer:
    return [
        (p.symbol, p.phase, p.qty, p.avg_price, p.tp_price, p.sl_price, p.protected_qty)
        for p in board.positions
        if p.phase not in ("FLAT", "DUST")
    ]


def _orders(board: Dashboard) -> Answer:
    names = "symbol order_id client_order_id side type status price orig_qty executed_qty"
    return [tuple(getattr(order, name) for name in names.split()) for order in board.orders]


def _fills(board: Dashboard) -> Answer:
    return [
        (f.symbol, f.trade_id, f.order_id, f.side, f.price, f.qty, f.decision_id)
        for f in board.fills
    ]


def _run(board: Dashboard) -> Answer:
    m = board.run.manifest
    hashes = (m.config_hash, m.prompt_hash, m.previous_run_id, m.schema_version)
    return [(m.run_id, m.version, m.platform, m.account_label, *hashes)]


def _bare(board: Dashboard) -> Answer:
    view = _run_survival(board.survival)
    return [(view.unprotected_total_ms, view.unprotected_max_ms)]


# By card: what the panel shows, in the shape of the query's answer.
_SHOWN: dict[str, Callable[[Dashboard], Answer]] = {
    "header": _header,
    "header reasons": lambda board: [
        (r.code, r.source, r.value, r.threshold) for r in board.header.reasons
    ],
    "alert counts": _counts,
    "alerts": lambda board: [
        (a.severity, a.code.code, a.text, a.at_ms) for a in board.alerts.latest
    ],
    "stages": lambda board: [(s.stage, s.cycle_id, s.entered_ms) for s in board.stages],
    "health": _health,
    "intents by state": lambda board: sorted(board.execution.by_state.items()),
    "intents in doubt": lambda board: [
        (i.order_intent_id, i.role, i.symbol, i.created_ms) for i in board.execution.unknown
    ],
    "reconcile": _reconcile,
    "reconcile differences": _differences,
    "decisions": _decisions,
    "chart": _chart,
    "positions": _positions,
    "quarantine": lambda board: [
        (hold.symbol, hold.until_ms, hold.cause)
        for hold in board.risk.holds
        if hold.kind == "QUARANTINE"
    ],
    "manual exposures": lambda board: [
        (e.exposure_id, e.symbol, e.side, e.qty, e.opened_ms) for e in board.exposures
    ],
    "gate calls": lambda board: [
        (c.at_ms, c.decision_id, c.verdict, c.model, c.latency_ms, c.error_code)
        for c in board.gate.calls
    ],
    "topn": lambda board: [
        (line.symbol, line.rank, line.score_x10000, line.dropped)
        for line in board.selection.topn.lines
    ],
    "watch list": lambda board: [
        (w.symbol, w.rank, w.score_x10000, w.incumbent_cycles) for w in board.watchlist
    ],
    "orders": _orders,
    "fills": _fills,
    "run": _run,
    "survival modes": lambda board: sorted(_run_survival(board.survival).modes_ms.items()),
    "survival failures": lambda board: [(_run_survival(board.survival).internal_failures,)],
    "survival time without a stop": _bare,
}
# Sums of decimal text are exact only outside of SQL.
_SUMMED = {"the day's result", "reserved"}


def _asked(path: Path, sql: str) -> Answer:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, {"now": story.NOW_MS} if ":now" in sql else {}).fetchall()


def test_the_page_and_this_test_know_the_same_cards() -> None:
    assert set(_queries()) == {*_SHOWN, *_SUMMED}


@pytest.mark.parametrize("card", _SHOWN)
def test_the_query_answers_what_the_card_shows(told: tuple[Path, Dashboard], card: str) -> None:
    path, board = told

    answer = _asked(path, _queries()[card])

    assert answer == _SHOWN[card](board)
    assert answer, "a card without anything to show proves nothing"


def test_the_days_result_adds_up_to_the_card(told: tuple[Path, Dashboard]) -> None:
    path, board = told

    answer = _asked(path, _queries()["the day's result"])

    assert sum(Decimal(row[0]) for row in answer) == Decimal(board.pnl.realised_quote)
    assert sum(Decimal(row[1]) for row in answer) == Decimal(board.pnl.fees_quote)
    assert sum(row[2] for row in answer) == board.pnl.closed > 0


def test_what_is_reserved_adds_up_to_the_card(told: tuple[Path, Dashboard]) -> None:
    path, board = told

    answer = _asked(path, _queries()["reserved"])

    shown = board.risk.balance.reserved_quote
    assert shown is not None
    assert sum(Decimal(row[0]) for row in answer) == Decimal(shown) > 0
