"""The views behind the tabs say what the database says, and why something is not known."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.audit import AuditDraft
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import (
    CycleRanking,
    GateEventRow,
    ReserveRow,
    RiskCounters,
    RunStarted,
    SymbolHealth,
)
from livespot.contracts.vocabulary import EventType, GateVerdict, Mode, Stage
from livespot.panel.dashboard import Dashboard
from livespot.panel.database import opened
from livespot.panel.limits import limits_of, shown_config
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.rules.risk_counters import Counters, SymbolCounters, to_json
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story

_replace = msgspec.structs.replace
_CYCLE = "cyc_0012"
_DEEP = {
    "regime": "TREND",
    "direction": "BULL",
    "spread_current_bps": 3,
    "spread_p50_bps": 2,
    "spread_p90_bps": 6,
    "delta_spread_p90_bps": 1,
    "imbalance_x10000": 6100,
    "atr14_5m_bps": 80,
    "trend_score_x10000": 7400,
    "range_score_x10000": 2100,
}


async def seen(path: Path) -> Dashboard:
    async with opened(path) as database:
        return await read_dashboard(database, Vantage(now_ms=story.NOW_MS))


@pytest.fixture
async def told(tmp_path: Path) -> Path:
    path = rows.fresh(tmp_path)
    await story.told(path)
    return path


async def add_event(path: Path, kind: EventType, stage: Stage, data: dict[str, object]) -> None:
    """One more event at the end of the chain."""
    async with opened(path) as database:
        seq, prev = (await database.rows("SELECT seq, hash FROM audit_events ORDER BY id"))[-1]
    draft = AuditDraft(
        event_type=kind, stage=stage, ts_ms=story.NOW_MS - 7000, cycle_id=_CYCLE, data=data
    )
    place = Place(run_id=rows.RUN, mode=Mode.SIM, seq=seq + 1, ts_ms=draft.ts_ms, prev_hash=prev)
    sealed: SealedEvent = seal(draft, canonical_json(data), place)
    await story.write(path, sealed)


def ranking(symbol: str, rank: int, features: dict[str, object]) -> CycleRanking:
    return CycleRanking(
        cycle_id=_CYCLE,
        kind="DEEP",
        rank=rank,
        symbol=symbol,
        score_x10000=7000 - rank,
        dropped=not features,
        reasons=() if features else (ReasonCode.STRAT_WARMUP,),
        features_json=canonical_json(features).decode(),
        config_hash="c",
        at_ms=story.NOW_MS - 7000,
    )


async def deep_scanned(path: Path) -> None:
    await story.write(path, ranking("BTCUSDT", 1, {**_DEEP}), ranking("ETHUSDT", 2, {}))
    await add_event(path, EventType.DEEP_SCAN, Stage.DEEP_SCAN, {"ranked": {}})


async def test_readings_come_from_the_deep_scan_and_the_newest_decision(told: Path) -> None:
    await deep_scanned(told)

    symbols = {item.symbol: item for item in (await seen(told)).market.symbols}

    bitcoin = symbols["BTCUSDT"]
    assert bitcoin.held
    assert (bitcoin.spread_bps, bitcoin.spread_p50_bps, bitcoin.spread_p90_bps) == (3, 2, 6)
    assert (bitcoin.regime, bitcoin.direction, bitcoin.outcome) == ("TREND", "BULL", "PROPOSED")
    assert bitcoin.decision_id == "dec_1"


async def test_a_reading_nobody_took_is_null_with_its_reason(told: Path) -> None:
    await deep_scanned(told)

    symbols = {item.symbol: item for item in (await seen(told)).market.symbols}

    warming, unscanned = symbols["ETHUSDT"], symbols["ADAUSDT"]
    assert warming.spread_bps is None
    assert "warming up" in warming.unknown["spread_bps"]
    assert "deep scan" in unscanned.unknown["spread_p50_bps"]
    assert warming.edge_bps is None
    assert "earlier check" in warming.unknown["edge_bps"]
    assert [code.code for code in warming.reasons] == [
        "STRAT_EDGE_BELOW_MIN",
        "STRAT_PULLBACK_FAIL",
    ]


async def test_prices_are_drawn_with_trades_and_the_levels_in_force(told: Path) -> None:
    chart = (await seen(told)).market.symbols[0].chart

    assert chart.close == ("101.40",)
    assert chart.at_ms == (story.NOW_MS,)
    assert [(level.kind, level.price) for level in chart.levels] == [
        ("STOP", "98.00"),
        ("TARGET", "103.00"),
    ]


async def test_limits_show_how_much_of_them_is_used(told: Path) -> None:
    counters = Counters(
        day=story.NOW_MS // 86_400_000,
        trades_today=5,
        realised_today=Decimal(-50),
        peak_equity=Decimal(10),
        fired=(ReasonCode.RISK_MAX_TRADES_DAY,),
        symbols={
            "ETHUSDT": SymbolCounters(cooldown_until_ms=story.NOW_MS + 9000, losses_in_row=2),
            "OLDUSDT": SymbolCounters(cooldown_until_ms=story.NOW_MS - 1),
        },
    )
    await story.write(
        told,
        RiskCounters(counters_json=to_json(counters), updated_at_ms=story.NOW_MS - 100),
        SymbolHealth(
            symbol="ADAUSDT",
            quarantined_until_ms=story.NOW_MS + 60_000,
            cause="FILTER_REJECTS",
            counters_json="{}",
            updated_at_ms=story.NOW_MS,
        ),
        ReserveRow(
            decision_id="dec_2",
            symbol="ETHUSDT",
            state="RESERVED",
            amount_quote=Decimal(100),
            order_intent_id="",
            expires_at_ms=story.NOW_MS + 1000,
            updated_at_ms=story.NOW_MS,
        ),
    )

    risk = (await seen(told)).risk

    gauges = {(gauge.name, gauge.symbol): gauge for gauge in risk.gauges}
    assert gauges["exposure_total", ""].value == "250.15"
    assert gauges["exposure_total", ""].share_x10000 == 5003
    assert gauges["exposure_symbol", "ETHUSDT"].value == "100"
    assert (gauges["daily_loss", ""].value, gauges["daily_loss", ""].share_x10000) == ("50", 1000)
    assert gauges["drawdown", ""].value == "60"
    assert gauges["trades_today", ""].share_x10000 == 2500
    assert [(hold.symbol, hold.kind, hold.left_ms) for hold in risk.holds] == [
        ("ADAUSDT", "QUARANTINE", 60_000),
        ("ETHUSDT", "COOLDOWN", 9000),
    ]
    assert [(streak.symbol, streak.losses_in_row) for streak in risk.streaks] == [("ETHUSDT", 2)]
    assert [code.code for code in risk.fired] == ["RISK_MAX_TRADES_DAY"]
    assert risk.balance.reserved_quote == "100"


async def test_a_limit_whose_figure_nobody_recorded_has_no_figure(told: Path) -> None:
    risk = (await seen(told)).risk

    loss = next(gauge for gauge in risk.gauges if gauge.name == "daily_loss")
    assert (loss.value, loss.share_x10000) == (None, None)
    assert loss.unknown
    assert risk.balance.free_quote is None
    assert risk.balance.unknown["free_quote"]


async def test_free_cash_is_what_risk_last_recorded(told: Path) -> None:
    said = {"change": "COUNTERS", "free_quote": "812.50", "free_at_ms": story.NOW_MS - 900}
    await add_event(told, EventType.RISK_VERDICT, Stage.RISK_VERDICT, {**said})

    balance = (await seen(told)).risk.balance

    assert (balance.free_quote, balance.free_at_ms) == ("812.5", story.NOW_MS - 900)


async def test_the_curve_ends_with_the_open_result(told: Path) -> None:
    dashboard = await seen(told)

    curve = dashboard.risk.curve
    open_result = Decimal(dashboard.pnl.unrealised_quote or "0") + Decimal("-1.25")
    assert Decimal(curve.equity_quote[-1]) == Decimal("4.20") + open_result
    assert curve.at_ms[-1] == story.NOW_MS


async def test_gate_figures_count_failures_by_kind(told: Path) -> None:
    def failed(code: str, latency_ms: int) -> GateEventRow:
        return _replace(
            story.gate_answer("dec_1"),
            verdict=GateVerdict.ERROR,
            reasons=(ReasonCode.AIGATE_TIMEOUT,),
            error_code=code,
            latency_ms=latency_ms,
        )

    await story.write(
        told, failed("TIMEOUT", 8000), failed("TIMEOUT", 8000), failed("HTTP_500", 30)
    )

    gate = (await seen(told)).gate

    assert gate.verdicts == {"ALLOW": 1, "ERROR": 3}
    assert gate.errors == {"TIMEOUT": 2, "HTTP_500": 1}
    assert gate.failure_rate_x10000 == 7500
    assert (gate.latency_p50_ms, gate.latency_p90_ms) == (210, 8000)
    assert gate.calls[0].error_code == "HTTP_500"


async def test_a_gate_that_was_never_asked_has_no_rate(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.write(path, rows.run_started())

    gate = (await seen(path)).gate

    assert gate.failure_rate_x10000 is None
    assert "not been asked" in gate.unknown["failure_rate_x10000"]


async def test_the_correlation_matrix_is_whole_and_holes_are_named(told: Path) -> None:
    correlations = {
        "symbols": ["BTCUSDT", "ETHUSDT", "ADAUSDT"],
        "missing": [0, 0, 60],
        "x10000": [[8123, 100], [200], []],
    }
    chosen: dict[str, object] = {"chosen": ["BTCUSDT"], "correlations": correlations}
    await add_event(told, EventType.TOPK_SELECTION, Stage.WATCHLIST_ATTACH, chosen)

    selection = (await seen(told)).selection

    assert selection.correlation.rows == (
        (10_000, 8123, None),
        (8123, 10_000, None),
        (None, None, 10_000),
    )
    assert set(selection.correlation.unknown) == {"ADAUSDT"}
    assert [(c.symbol, c.chosen, c.guard_cycles_left) for c in selection.choices] == [
        ("BTCUSDT", True, 0),
        ("ETHUSDT", True, 1),
        ("ADAUSDT", True, 2),
    ]


async def test_the_run_tab_shows_the_manifest_and_masks_addresses_with_tokens(
    tmp_path: Path,
) -> None:
    path = rows.fresh(tmp_path)
    config = {"alerts": {"webhook": "https://chat.example/bot-token"}, "risk": {"per_trade": "50"}}
    begun: RunStarted = _replace(
        rows.run_started(), config_json=canonical_json(config).decode(), config_hash="abc"
    )
    await story.write(path, begun)

    dashboard = await seen(path)

    assert dashboard.run.manifest.config_hash == "abc"
    assert (dashboard.run.manifest.schema_version or 0) >= 5
    assert dashboard.run.manifest.unknown["exit_code"]
    assert dashboard.run.config["risk"] == {"per_trade": "50"}
    assert b"bot-token" not in msgspec.json.encode(dashboard)


def test_a_section_of_another_version_falls_back_and_says_so() -> None:
    limits = limits_of('{"risk":{"per_trade":"50","no_such_key":1},"churn":{"max_cancel_10s":7}}')

    assert limits.risk.per_trade == Decimal("100.00")
    assert limits.churn.max_cancel_10s == 7
    assert "risk" in limits.defaulted


def test_an_unset_address_is_not_called_set() -> None:
    assert shown_config('{"alerts":{"webhook":""}}') == {"alerts": {"webhook": "not set"}}


async def test_before_any_run_every_tab_says_that_nothing_ran(tmp_path: Path) -> None:
    dashboard = await seen(rows.fresh(tmp_path))

    for tab in (dashboard.market, dashboard.risk, dashboard.gate, dashboard.selection):
        assert "nothing has run" in next(iter(tab.unknown.values()))
    assert dashboard.health.cpu_percent_x100 is None
    assert dashboard.health.unknown["cpu_percent_x100"]
