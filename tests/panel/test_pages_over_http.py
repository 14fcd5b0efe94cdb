"""Lists, traces, metrics and the token, over real sockets."""

from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from livespot.panel.dashboard import AlertsPage, OrdersPage
from livespot.panel.traces import TraceView, trace_schema
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story
from livespot.testing.served_panel import panel, unguarded

_SCHEMA = Path(__file__).resolve().parents[2] / "prompts" / "schemas" / "trace.schema.json"
_STEPS = [
    "snapshot",
    "regime",
    "decision",
    "gate",
    "risk",
    "intents",
    "orders",
    "fills",
    "protection",
    "reconcile",
    "result",
]
# Units of measured figures, and nouns of what is counted.
_ENDINGS = (
    *("_bytes", "_seconds", "_ratio", "_per_minute", "_usdt", "_score", "_weight_used"),
    *("_weight_limit", "_events", "_messages", "_intents", "_alerts", "_verdicts"),
    *("_positions_open", "_positions_unprotected", "_intents_unknown", "_sysmode", "_info", "_up"),
    *("_failures", "_intents_in_doubt", "_missed_fills", "_drift_corrections", "_by_hand"),
)


@pytest.fixture
async def told(tmp_path: Path) -> Path:
    path = rows.fresh(tmp_path)
    await story.told(path)
    return path


def test_the_published_schema_of_a_trace_is_that_of_the_type() -> None:
    assert _SCHEMA.read_text(encoding="utf-8") == trace_schema(), "run scripts/schemas"


@pytest.mark.parametrize(("limit", "intents"), [("1", 1), ("2", 2), ("500", 3), ("", 3)])
async def test_orders_are_listed_newest_first_up_to_the_limit(
    told: Path, limit: str, intents: int
) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        query = f"?limit={limit}" if limit else ""
        answer = await client.get(f"/api/orders{query}")

    page = msgspec.json.decode(answer.content, type=OrdersPage)
    assert [item.order_intent_id for item in page.intents] == ["oi_c", "oi_b", "oi_a"][:intents]
    assert page.orders[0].order_intent_id == "oi_a"
    assert page.fills[0].order_id == 7
    assert {p.position_id for p in page.positions} <= {"pos_0", "pos_1"}
    assert unguarded(answer) == []


@pytest.mark.parametrize("limit", ["0", "501", "-1", "1e2", "٣", "9" * 5000, "abc", " 5"])
@pytest.mark.parametrize("route", ["/api/orders", "/api/alerts"])
async def test_a_limit_out_of_bounds_is_refused(told: Path, route: str, limit: str) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get(route, params={"limit": limit})

    assert answer.status_code == 400
    assert "from 1 to 500" in answer.json()["error"]
    assert served.audited == [(route, "GET", 400)]


async def test_alerts_are_listed_with_their_counts(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/api/alerts?limit=1")

    page = msgspec.json.decode(answer.content, type=AlertsPage)
    assert len(page.alerts.latest) == 1


async def test_lists_of_a_database_without_a_run_are_empty(tmp_path: Path) -> None:
    fresh = rows.fresh(tmp_path)
    async with panel(fresh) as served, httpx.AsyncClient(base_url=served.base) as client:
        orders, alerts = await client.get("/api/orders"), await client.get("/api/alerts")

    assert msgspec.json.decode(orders.content, type=OrdersPage).intents == ()
    assert msgspec.json.decode(alerts.content, type=AlertsPage).alerts.latest == ()


async def test_a_decision_is_told_step_by_step(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/api/decisions/dec_1")

    trace = msgspec.json.decode(answer.content, type=TraceView)
    states = {step.name: step.state for step in trace.steps}
    assert [step.name for step in trace.steps] == _STEPS
    assert (trace.kind, trace.id, trace.symbol) == ("DECISION", "dec_1", "BTCUSDT")
    assert (states["gate"], states["risk"], states["intents"]) == ("DONE", "DONE", "WAITING")
    assert (states["fills"], states["result"]) == ("DONE", "WAITING")
    assert all(step.lines for step in trace.steps)
    assert ("intent", "oi_a") in {(item.name, item.value) for item in trace.ids}
    assert served.audited == [("/api/decisions/{id}", "GET", 200)]


async def test_an_intent_is_told_with_its_own_orders_alone(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        bought = await client.get("/api/intents/oi_a")
        doubtful = await client.get("/api/intents/oi_b")

    first = msgspec.json.decode(bought.content, type=TraceView)
    second = msgspec.json.decode(doubtful.content, type=TraceView)
    steps = {step.name: step for step in second.steps}
    assert "confirmed" in first.headline
    assert "not known yet" in second.headline
    assert steps["intents"].state == "WAITING"
    assert steps["orders"].state == steps["fills"].state == "NONE"
    assert len([f for f in steps["intents"].facts if "client_order_id" in f]) == 1
    assert ("decision", "dec_1") in {(item.name, item.value) for item in second.related}


@pytest.mark.parametrize("route", ["/api/decisions/dec_9", "/api/intents/oi_9"])
async def test_an_unknown_id_is_not_found(told: Path, route: str) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get(route)

    assert answer.status_code == 404
    assert answer.json()["error"]


async def test_metrics_are_readable_named_with_units_and_silent_about_the_unknown(
    told: Path,
) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/metrics")

    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert all(name.startswith("livespot_") for name in families)
    assert [name for name in families if not name.endswith(_ENDINGS)] == []
    assert values["livespot_sysmode", "NORMAL"] == 1
    assert values["livespot_intents", "SENT_UNKNOWN"] == 1
    assert values["livespot_clock_offset_seconds",] == -0.012
    assert "livespot_rest_age_seconds" not in families
    assert values["livespot_mailbox_dropped_messages_total", "risk"] == 0


async def test_without_the_token_nothing_but_the_empty_page_is_shown(told: Path) -> None:
    async with (
        panel(told, token="secret-of-this-run") as served,
        httpx.AsyncClient(base_url=served.base) as client,
    ):
        page = await client.get("/dashboard")
        statuses = {
            query: (await client.get(f"/api/dashboard{query}")).status_code
            for query in (
                "",
                "?token=",
                "?token=wrong",
                "?" + "&".join(["a=1"] * 50),
                "?token=secret-of-this-run",
                "?token=secret-of-this-run&token=secret-of-this-run",
            )
        }
        bearer = await client.get(
            "/metrics", headers={"authorization": "Bearer secret-of-this-run"}
        )
        refused = await client.get("/healthz")

    assert page.status_code == 200
    assert b"secret-of-this-run" not in page.content
    assert list(statuses.values()) == [403, 403, 403, 403, 200, 403]
    assert (bearer.status_code, refused.status_code) == (200, 403)
    assert not [row for row in served.audited if "secret" in row[0]]
