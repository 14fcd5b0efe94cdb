"""What stands beside a reward margin: nothing measured before a hundred trades, and only alike."""

from io import StringIO
from pathlib import Path

import msgspec
from rich.console import Console

from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import DecisionRow, PositionRow
from livespot.contracts.vocabulary import ExitReason, PositionPhase
from livespot.panel.console import render_live
from livespot.panel.dashboard import Dashboard, EdgeView, MeasuredView
from livespot.panel.database import opened
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story

_replace = msgspec.structs.replace
_DECIDED = {
    "strategy_id": "REGIME_PULLBACK_MAKER_V1",
    "strategy_version": "1.0.0",
    "regime": "TREND",
    "mode": "SIM",
    "breakeven_hit_x10000": 4629,
    "sl_bps": 150,
    "tp_bps": 200,
    "edge_bps_expected": 38,
}


def _proposal(decision_id: str, cycle: str = "cyc_1", **changes: object) -> DecisionRow:
    row = story.decision(decision_id, "BTCUSDT", "PROPOSED", (ReasonCode.STRAT_OK,), bps=38)
    decided = canonical_json({**_DECIDED, **changes}).decode()
    return _replace(row, cycle_id=cycle, decision_json=decided)


def _closed(number: int, reason: ExitReason, decision_id: str = "dec_1") -> PositionRow:
    row = rows.position(f"pos_{number}", PositionPhase.FLAT)
    return _replace(
        row,
        position=_replace(
            row.position,
            decision_id=decision_id,
            closed_at_ms=story.NOW_MS - number,
            exit_reason=reason,
        ),
    )


def _trades(profits: int, losses: int, decision_id: str = "dec_1") -> list[PositionRow]:
    ends = [ExitReason.TAKE_PROFIT] * profits + [ExitReason.STOP_LOSS] * losses
    first = 10_000 * int(decision_id.removeprefix("dec_"))
    return [_closed(first + number, end, decision_id) for number, end in enumerate(ends)]


async def _seen(directory: Path, *more: DecisionRow | PositionRow) -> Dashboard:
    path = rows.fresh(directory)
    await story.write(path, rows.run_started(), *more, _proposal("dec_1", "cyc_9"))
    async with opened(path) as database:
        return await read_dashboard(database, Vantage(now_ms=story.NOW_MS))


def _edge(dashboard: Dashboard) -> EdgeView | None:
    return dashboard.decisions[0].edge


def _text(dashboard: Dashboard) -> str:
    written = StringIO()
    Console(width=140, file=written, highlight=False).print(render_live(dashboard, ""))
    return written.getvalue()


async def test_ninety_nine_trades_measure_nothing(tmp_path: Path) -> None:
    dashboard = await _seen(tmp_path, _proposal("dec_1"), *_trades(60, 39))

    assert _edge(dashboard) == EdgeView(breakeven_hit_x10000=4629, trades=99, measured=None)
    assert "hits needed 46.3 %, seen: unmeasured" in _text(dashboard)


async def test_a_hundred_alike_are_a_hit_rate_with_its_interval(tmp_path: Path) -> None:
    dashboard = await _seen(tmp_path, _proposal("dec_1"), *_trades(50, 50))

    assert _edge(dashboard) == EdgeView(
        breakeven_hit_x10000=4629,
        trades=100,
        measured=MeasuredView(
            hit_rate_x10000=5000, low_x10000=4038, high_x10000=5962, expectancy_bps=13
        ),
    )
    assert "hits needed 46.3 %, seen: 50.0 %" in _text(dashboard)
    assert "reward margin 38 bps" in _text(dashboard)


async def test_other_versions_regimes_and_modes_do_not_count(tmp_path: Path) -> None:
    dashboard = await _seen(
        tmp_path,
        _proposal("dec_1"),
        _proposal("dec_2", strategy_version="2.0.0"),
        _proposal("dec_3", regime="RANGE"),
        _proposal("dec_4", mode="LIVE"),
        *_trades(30, 10),
        *(trade for other in ("dec_2", "dec_3", "dec_4") for trade in _trades(60, 60, other)),
    )

    edge = _edge(dashboard)
    assert edge is not None
    assert (edge.trades, edge.measured) == (40, None)


async def test_a_forced_sale_is_no_hit(tmp_path: Path) -> None:
    forced = [_closed(number, ExitReason.CLOSE_SAFELY) for number in range(50)]

    edge = _edge(await _seen(tmp_path, _proposal("dec_1"), *_trades(50, 0), *forced))

    assert edge is not None
    assert edge.measured is not None
    assert edge.measured.hit_rate_x10000 == 5000


async def test_a_block_has_no_odds(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.told(path)

    async with opened(path) as database:
        dashboard = await read_dashboard(database, Vantage(now_ms=story.NOW_MS))

    assert {item.edge for item in dashboard.decisions if item.outcome == "BLOCKED"} == {None}
