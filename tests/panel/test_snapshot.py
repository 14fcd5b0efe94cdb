"""The snapshot says what the database says, whoever runs or does not run."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import PositionRow
from livespot.contracts.vocabulary import IntentState, PositionPhase, Severity, SysMode
from livespot.panel.dashboard import Dashboard, dashboard_schema
from livespot.panel.database import PanelUnreadable, opened
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story

_SCHEMA = Path(__file__).resolve().parents[2] / "prompts" / "schemas" / "dashboard.schema.json"


async def seen(path: Path, *, running: bool | None = True, now_ms: int = story.NOW_MS) -> Dashboard:
    async with opened(path) as database:
        return await read_dashboard(database, Vantage(now_ms=now_ms, running=running))


@pytest.fixture
async def told(tmp_path: Path) -> Path:
    path = rows.fresh(tmp_path)
    await story.told(path)
    return path


def test_the_published_schema_is_that_of_the_types() -> None:
    assert _SCHEMA.read_text(encoding="utf-8") == dashboard_schema(), "run scripts/schemas"


def test_the_schema_allows_no_floating_point_number() -> None:
    assert '"number"' not in dashboard_schema()


async def test_an_empty_database_says_that_nothing_ran_and_how_to_start(tmp_path: Path) -> None:
    dashboard = await seen(rows.fresh(tmp_path))

    assert dashboard.process.state == "NEVER_RAN"
    assert "livespot sim" in dashboard.next.action


async def test_a_missing_or_foreign_file_is_a_typed_error(tmp_path: Path) -> None:
    foreign = tmp_path / "audit.sqlite"
    foreign.write_bytes(b"this is no database, only some text that is long enough")

    with pytest.raises(PanelUnreadable, match=r"none\.sqlite"):
        await seen(tmp_path / "none.sqlite")
    with pytest.raises(PanelUnreadable):
        await seen(foreign)


async def test_header_and_stages_follow_the_run(told: Path) -> None:
    dashboard = await seen(told)

    header = dashboard.header
    assert (header.mode, header.sysmode, header.stage) == ("SIM", "NORMAL", "STRATEGY_PROPOSE")
    assert (header.cycle_id, header.decision_id) == ("cyc_0012", "dec_1")
    assert len(dashboard.stages) == 20
    assert dashboard.stages[0].duration_ms is None
    assert {span.duration_ms for span in dashboard.stages[1:]} == {1200}


async def test_an_active_reason_carries_measurement_meaning_and_action(told: Path) -> None:
    paused = story.mode(SysMode.PAUSE, [story.reason(ReasonCode.REST_STALE_PAUSE)])
    await story.write(told, paused)

    dashboard = await seen(told)

    reason = dashboard.header.reasons[0]
    assert (reason.value, reason.threshold, reason.unit) == (12_000, 10_000, "ms")
    assert reason.meaning
    assert dashboard.next.action == reason.action
    assert dashboard.next.urgency == "NOW"


async def test_health_keeps_unknown_figures_apart_from_zero(told: Path) -> None:
    health = (await seen(told)).health

    assert health.rest_age_ms is None
    assert set(health.unknown) == {"rest_age_ms"}
    assert health.stream_age_ms == 140
    assert len(health.series.wal_bytes) == len(health.series.at_ms) == 30
    assert health.series.at_ms == tuple(sorted(health.series.at_ms))
    assert [box.name for box in health.mailboxes][:2] == ["governor", "gate"]


async def test_an_unknown_outcome_is_pinned_with_its_age(told: Path) -> None:
    execution = (await seen(told)).execution

    assert execution.by_state == {"CONFIRMED": 1, "CREATED": 1, "SENT_UNKNOWN": 1}
    assert [intent.order_intent_id for intent in execution.unknown] == ["oi_b"]
    assert execution.unknown[0].age_ms == story.NOW_MS - rows.NOW_MS
    assert len(execution.recent) == 3


async def test_the_last_reconcile_is_shown_with_its_differences(told: Path) -> None:
    report = (await seen(told)).execution.reconcile

    assert report is not None
    assert (report.label, report.duration_ms) == ("OK", 84)
    assert report.diffs[0].after == "1.50"


async def test_each_symbol_shows_its_newest_decision_and_how_far_it_went(told: Path) -> None:
    newest = story.decision("", "BTCUSDT", "BLOCKED", (ReasonCode.STRAT_VOLUME_LOW,), bps=3)
    before = {item.symbol: item for item in (await seen(told)).decisions}
    await story.write(told, newest)

    after = {item.symbol: item for item in (await seen(told)).decisions}

    assert (before["BTCUSDT"].gate, before["BTCUSDT"].risk) == ("ALLOW", "ALLOW")
    assert (after["BTCUSDT"].outcome, after["BTCUSDT"].risk) == ("BLOCKED", "")
    assert after["ETHUSDT"].reasons[0].meaning


async def test_results_add_up_exactly_and_unrealised_uses_the_last_close(told: Path) -> None:
    dashboard = await seen(told)

    position, pnl = dashboard.positions[0], dashboard.pnl
    assert position.protected
    value = Decimal("101.40") * Decimal("1.4985")
    assert Decimal(position.unrealised_quote or "0") == value - Decimal("150.15")
    assert Decimal(pnl.realised_quote) == Decimal("4.20") + Decimal("-1.25")
    assert (pnl.closed, pnl.won, pnl.lost) == (1, 1, 0)


async def test_unrealised_is_unknown_without_a_recorded_close(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.write(path, rows.run_started(), rows.position())

    dashboard = await seen(path)

    assert dashboard.positions[0].mark_price is None
    assert dashboard.positions[0].unknown["mark_price"]
    assert dashboard.pnl.unrealised_quote is None
    assert dashboard.pnl.unknown["unrealised_quote"]


async def test_a_bare_position_is_the_first_thing_to_deal_with(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    bare = rows.position(phase=PositionPhase.UNPROTECTED).position
    bare = msgspec.structs.replace(bare, unprotected_since_ms=story.NOW_MS - 6000)
    await story.write(path, rows.run_started(), PositionRow(position=bare))

    dashboard = await seen(path)

    assert not dashboard.positions[0].protected
    assert dashboard.next.urgency == "NOW"
    assert "Place a stop for BTCUSDT" in dashboard.next.action


async def test_alerts_are_counted_by_severity_newest_first(told: Path) -> None:
    await story.write(told, story.alert(Severity.CRIT, ReasonCode.ENTER_PAUSE, "stop"))

    alerts = (await seen(told)).alerts

    assert (alerts.crit, alerts.warn, alerts.info) == (1, 1, 1)
    assert alerts.latest[0].text == "stop"
    assert alerts.latest[0].code.action


async def test_a_run_without_a_process_is_called_dead_and_an_ended_one_ended(told: Path) -> None:
    dead = await seen(told, running=False)
    await story.write(told, story.ended(clean=True, exit_code=10))

    ended = await seen(told, running=False)

    assert dead.process.state == "CRASHED"
    assert "livespot sim" in dead.next.action
    assert (ended.process.state, ended.header.exit_code) == ("DOWN", 10)
    assert (ended.stages[0].duration_ms or 0) > 0


async def test_churn_counts_what_was_sent_within_the_window(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    sent = [
        msgspec.structs.replace(
            rows.moved(IntentState.CREATED, IntentState.SENT_UNKNOWN, key),
            sent_at_ms=story.NOW_MS - age_ms,
        )
        for key, age_ms in (("a", 1000), ("b", 2000), ("c", 3000), ("d", 4000), ("e", 30_000))
    ]
    created = [rows.created(key) for key in "abcde"]
    await story.write(path, rows.run_started(), *created, *sent)

    churn = (await seen(path)).execution.churn

    assert (churn[0].new_10s, churn[0].new_60s, churn[0].near_limit) == (4, 5, True)


async def test_hostile_text_stays_text(told: Path) -> None:
    hostile = '</script><img src=x onerror=alert(1)>"\u2028'
    await story.write(told, story.alert(Severity.WARN, ReasonCode.ALERT_RAISED, hostile))

    body = msgspec.json.encode(await seen(told))

    assert b"\n" not in body
    assert msgspec.json.decode(body, type=Dashboard).alerts.latest[0].text == hostile
