"""The control port changes faults while the exchange runs, and only for callers on this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from livespot.exchange.journal import ModeRow, read_journal
from livespot.exchange.settings import ExchangeSettings
from livespot.exchange.state_file import read_state

SOL = frozenset({"SOLUSDT"})
DOWN = {"id": "down", "what": {"verb": "ex.reply", "status": 503}, "match": {"path": "*/ping"}}


@asynccontextmanager
async def controlled(exchange: Any, **more: Any) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    async with (
        exchange(ExchangeSettings(symbols=SOL, control_port=0, **more)) as venue,
        httpx.AsyncClient(base_url=venue.address.control_url, trust_env=False) as http,
    ):
        yield venue, http


async def ping(venue: Any) -> int:
    response: httpx.Response = await venue.http.get("/api/v3/ping")
    return response.status_code


async def test_a_plan_is_loaded_looked_at_and_healed(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with controlled(exchange, journal=path) as (venue, http):
        empty = (await http.get("/faults")).json()
        loaded = await http.post("/faults", json={"seed": 3, "faults": [DOWN]})
        down = await ping(venue)
        state = (await http.get("/faults")).json()["faults"][0]
        healed = await http.delete("/faults/down")
        up = await ping(venue)

    assert empty["faults"] == []
    assert loaded.status_code == healed.status_code == 200
    assert (down, up) == (503, 200)
    assert (state["phase"], state["seen"], state["fired"]) == ("armed", 1, 1)
    assert state["fault"]["what"]["verb"] == "ex.reply"
    modes = [row.event for row in read_journal(path) if isinstance(row, ModeRow)]
    assert modes == ["begin", "fire", "end"]


async def test_another_plan_takes_the_place_of_the_first(exchange: Any) -> None:
    async with controlled(exchange) as (venue, http):
        await http.post("/faults", json={"faults": [DOWN]})
        await http.post("/faults", json={"faults": [{**DOWN, "id": "new", "match": {"path": "x"}}]})
        names = [one["id"] for one in (await http.get("/faults")).json()["faults"]]

        assert (names, await ping(venue)) == (["new"], 200)


async def test_one_fault_is_done_at_once_beside_the_plan(exchange: Any) -> None:
    step = {"id": "step", "what": {"verb": "clock.step", "ms": 90_000}}
    async with controlled(exchange) as (venue, http):
        await http.post("/faults", json={"faults": [DOWN]})
        done = (await http.post("/do", json=step)).json()
        server = (await venue.get("time"))["serverTime"]
        down = await ping(venue)
        await http.delete("/faults")
        up = await ping(venue)

    assert [(one["id"], one["phase"]) for one in done["faults"]] == [
        ("down", "armed"),
        ("step", "ended"),
    ]
    assert server - venue.clock.now_ms() > 80_000
    assert (down, up) == (503, 200)


async def test_an_unusable_plan_is_refused_with_every_problem(exchange: Any) -> None:
    bad = {"faults": [{"id": "x", "what": {"verb": "net.delay", "target": "res", "ms": 0}}]}
    async with controlled(exchange) as (venue, http):
        await http.post("/faults", json={"faults": [DOWN]})
        refused = await http.post("/faults", json=bad)
        no_json = await http.post("/do", content=b"{", headers={"content-type": "application/json"})
        unknown = await http.delete("/faults/none")

        assert await ping(venue) == 503

    assert refused.status_code == no_json.status_code == 400
    assert [text.split(":")[0] for text in refused.json()["problems"]] == [
        "faults[0].what.target",
        "faults[0].what.ms",
    ]
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"host": "evil.example:80"}, 421, id="rebinding"),
        pytest.param({"host": "127.0.0.1"}, 421, id="no-port"),
        pytest.param({"origin": "http://127.0.0.1"}, 403, id="web-page"),
        pytest.param({"sec-fetch-site": "cross-site"}, 403, id="browser"),
        pytest.param({"content-type": "text/plain"}, 400, id="form"),
    ],
)
async def test_only_a_program_on_this_machine_is_served(
    exchange: Any, headers: dict[str, str], status: int
) -> None:
    async with controlled(exchange) as (venue, http):
        answer = await http.post("/faults", content=b"{}", headers=headers)

        assert await ping(venue) == 200

    assert answer.status_code == status


async def test_it_is_closed_unless_asked_for_and_its_place_is_in_the_state_file(
    exchange: Any, tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    async with exchange() as venue:
        assert venue.address.control_url == ""
        assert (await venue.http.get("/faults")).status_code == 404
    async with controlled(exchange, state_file=path) as (venue, _):
        assert read_state(path).address.control_url == venue.address.control_url != ""
