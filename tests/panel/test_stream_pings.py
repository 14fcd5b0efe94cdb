"""A stream without news still shows that it lives."""

from pathlib import Path

import anyio
from starlette.types import Message

from livespot.contracts.settings import PanelSettings
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.panel.app import panel_app
from livespot.panel.database import opened
from livespot.panel.hub import Hub
from livespot.panel.pages import Pages
from livespot.testing import ledger_rows as rows
from livespot.testing.clock import ManualClock


async def test_a_silent_stream_pings_every_fifteen_seconds(tmp_path: Path) -> None:
    wall = ManualClock()
    hub = Hub(clock=ManualClock(), wall=wall, settings=PanelSettings())
    sent: list[bytes] = []
    asleep = anyio.Event()

    async def receive() -> Message:
        await asleep.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message.get("body"):
            sent.append(message["body"])
            wall.advance(15_000)
            hub.wake()
        if sent.count(b"event: ping\ndata: {}\n\n") == 2:
            hub.close()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/api/stream",
        "raw_path": b"/api/stream",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [],
    }
    with anyio.fail_after(5):
        async with opened(rows.fresh(tmp_path)) as database:
            pages = Pages(database, wall, DatabaseTraces())
            await panel_app(hub, wall, pages)(scope, receive, send)

    assert sent[0].startswith(b"retry:")
    assert sent[1:] == [b"event: ping\ndata: {}\n\n"] * 2


async def test_a_viewer_that_was_away_gets_the_newest_snapshot_and_no_burst(
    tmp_path: Path,
) -> None:
    hub = Hub(clock=ManualClock(), wall=ManualClock(), settings=PanelSettings())
    async with opened(rows.fresh(tmp_path)) as database:
        await hub.build(database)
        first = await hub.changed(0, 1)
        for _ in range(5):
            await hub.build(database)

        then = await hub.changed(1, 1)
        nothing_more = await hub.changed(6, 0)

    assert first is not None
    assert then is not None
    assert (first.number, then.number) == (1, 6)
    assert nothing_more is None
