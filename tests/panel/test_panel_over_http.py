"""The panel over real sockets: what it serves, whom it refuses, what every answer carries."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import PanelSettings
from livespot.contracts.vocabulary import Severity, SysMode
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.panel.app import ROUTES
from livespot.panel.dashboard import Dashboard
from livespot.panel.server import PanelServer, PanelUnavailable
from livespot.runtime.clock import SystemClock
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story
from livespot.testing.served_panel import SteadyClock, panel, raw, unguarded


@pytest.fixture
async def told(tmp_path: Path) -> Path:
    path = rows.fresh(tmp_path)
    await story.told(path)
    return path


async def test_the_snapshot_is_served_as_json_of_its_own_type(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/api/dashboard")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert msgspec.json.decode(answer.content, type=Dashboard).header.sysmode == "NORMAL"


async def test_the_next_step_names_the_state_directory_of_its_run(
    told: Path, tmp_path: Path
) -> None:
    await story.write(told, story.mode(SysMode.PAUSE, []))
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/api/dashboard")

    shown = msgspec.json.decode(answer.content, type=Dashboard)
    assert " --var " in shown.next.action + shown.next.why
    assert str(tmp_path) in shown.next.action + shown.next.why


async def test_every_route_answers_get_and_head_with_the_fixed_headers(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        for path in sorted(ROUTES - {"/api/stream"}):
            got, head = await client.get(path), await client.head(path)

            assert got.status_code == head.status_code == 200
            assert got.content
            assert head.content == b""
            assert unguarded(got) == []
            assert unguarded(head) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
async def test_every_other_method_is_forbidden(told: Path, method: str) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.request(method, "/dashboard")

    assert answer.status_code == 403
    assert unguarded(answer) == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/dashboard/",
        "/dashboard/..;/",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/",
        "/api/orders/",
    ],
)
async def test_unknown_paths_are_not_found_and_audited_without_their_text(
    told: Path, path: str
) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get(path + "?token=abc")

    assert answer.status_code == 404
    assert unguarded(answer) == []
    assert served.audited == [("unmatched", "GET", 404)]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "127.0.0.1.:{port}",
        "localhost.:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "0.0.0.0:{port}",
        "[::]:{port}",
        "[::1]:{port}",
        "127.0.0.1:{port}.",
        "localhost:{port}, evil.example",
        "localhost:0{port}",
        "0x7f.1:{port}",
        "localhost%00:{port}",
        "127.0.0.1:{port}@evil.example",
        "localhost:{port}.evil.example",
        "",
    ],
)
async def test_a_foreign_host_is_misdirected_before_anything_else(told: Path, host: str) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/api/dashboard", headers={"host": host.format(port=served.port)})

    assert answer.status_code == 421
    assert b"sysmode" not in answer.content
    assert unguarded(answer) == []
    assert served.audited == [("/api/dashboard", "GET", 421)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
async def test_loopback_names_with_our_port_are_served(told: Path, host: str) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/healthz", headers={"host": f"{host}:{served.port}"})

    assert answer.status_code == 200


async def test_missing_doubled_and_absolute_hosts_get_no_data(told: Path) -> None:
    async with panel(told) as served:
        here = f"127.0.0.1:{served.port}"
        for request in (
            "GET /api/dashboard HTTP/1.0\r\n\r\n",
            f"GET /api/dashboard HTTP/1.1\r\nHost: {here}\r\nHost: evil.example\r\n\r\n",
            f"GET http://evil.example/api/dashboard HTTP/1.1\r\nHost: {here}\r\n\r\n",
        ):
            answer = await raw(served.port, request.encode())

            assert answer.split(b" ")[1] in (b"400", b"404", b"421")
            assert b"sysmode" not in answer


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("origin", "http://127.0.0.1:{port}", 200),
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "https://127.0.0.1:{port}", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("upgrade", "websocket", 403),
    ],
)
async def test_only_the_page_itself_may_ask(told: Path, name: str, value: str, status: int) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/api/dashboard", headers={name: value.format(port=served.port)})

    assert answer.status_code == status
    assert unguarded(answer) == []


async def test_more_than_twenty_requests_in_a_second_are_refused_and_counted(told: Path) -> None:
    async with (
        panel(told, wall=SteadyClock()) as served,
        httpx.AsyncClient(base_url=served.base) as client,
    ):
        statuses = [(await client.get("/healthz")).status_code for _ in range(25)]
        with anyio.fail_after(5):
            await served.refusals_audited(5)

    assert statuses == [200] * 20 + [429] * 5
    # Real time decides into how many rows five refusals fall.
    assert {(method, status) for route, method, status in served.audited[20:]} == {("ANY", 429)}


async def test_a_request_the_audit_has_no_room_for_is_refused(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        served.audit_full = True
        answers = [await client.get(path) for path in ("/api/dashboard", "/nothing")]

    assert [answer.status_code for answer in answers] == [429, 429]
    assert b"sysmode" not in answers[0].content
    assert unguarded(answers[0]) == []


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        (SysMode.NORMAL, 200),
        (SysMode.DEGRADE, 200),
        (SysMode.PAUSE, 503),
        (SysMode.EXIT, 503),
    ],
)
async def test_health_is_good_only_in_normal_and_degrade(
    told: Path, mode: SysMode, status: int
) -> None:
    await story.write(told, story.mode(mode, [story.reason(ReasonCode.DISK_LOW_DEGRADE)]))

    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.get("/healthz")

    assert answer.status_code == status
    assert answer.json()["sysmode"] == mode
    assert answer.json()["reasons"] == ["DISK_LOW_DEGRADE"]


async def test_health_follows_the_mode_in_force_not_only_the_recorded_one(told: Path) -> None:
    async with (
        panel(told, mode=SysMode.PAUSE) as served,
        httpx.AsyncClient(base_url=served.base) as client,
    ):
        answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()["sysmode"]) == (503, "PAUSE")


async def test_the_stream_sends_snapshots_and_each_new_alert_once(told: Path) -> None:
    events: list[tuple[str, bytes]] = []
    async with (
        panel(told) as served,
        httpx.AsyncClient(base_url=served.base) as client,
        client.stream("GET", "/api/stream") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert unguarded(answer) == []
        lines = answer.aiter_lines()
        events.append(await next_event(lines))
        await story.write(told, story.alert(Severity.CRIT, ReasonCode.ALERT_RAISED, "new"))
        while [kind for kind, _ in events].count("snapshot") < 5:
            events.append(await next_event(lines))

    alerts = [msgspec.json.decode(body) for kind, body in events if kind == "alert"]
    snapshots = [
        msgspec.json.decode(body, type=Dashboard) for _, body in events if b"schema" in body
    ]
    assert [alert["text"] for alert in alerts] == ["new"]
    assert snapshots[0].now_ms < snapshots[-1].now_ms


async def next_event(lines: AsyncIterator[str]) -> tuple[str, bytes]:
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            return name, line.removeprefix("data: ").encode()
    raise AssertionError("the stream ended")


async def test_a_ninth_viewer_is_turned_away_and_a_free_place_can_be_taken(told: Path) -> None:
    limits = httpx.Limits(max_connections=20)
    async with (
        panel(told) as served,
        httpx.AsyncClient(base_url=served.base, limits=limits) as client,
    ):
        viewers = [await open_stream(client) for _ in range(8)]
        ninth = await client.get("/api/stream")
        await viewers.pop().aclose()
        with anyio.fail_after(5):
            while (again := await open_stream(client)).status_code != 200:
                await again.aclose()
                await anyio.sleep(0.05)
        for viewer in (*viewers, again):
            await viewer.aclose()

    assert ninth.status_code == 503
    assert unguarded(ninth) == []


async def open_stream(client: httpx.AsyncClient) -> httpx.Response:
    return await client.send(client.build_request("GET", "/api/stream"), stream=True)


async def test_an_open_stream_does_not_hold_the_shutdown_back(told: Path) -> None:
    async with httpx.AsyncClient() as client:
        with anyio.fail_after(5):
            async with panel(told) as served:
                answer = await client.send(
                    client.build_request("GET", f"{served.base}/api/stream"), stream=True
                )
        await answer.aclose()

    with (
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.1", served.port)),
    ):
        pass


async def test_a_taken_port_is_a_typed_error_with_the_next_step(told: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = PanelServer(
            database=told,
            settings=PanelSettings(port=port),
            clock=SystemClock(),
            wall=SystemClock(),
            audit_request=lambda _route, _method, _status: True,
            listening=lambda _address: None,
            traces=DatabaseTraces(),
        )

        with pytest.raises(PanelUnavailable, match=rf"port {port}.*panel\.port"):
            await server.run()


async def test_the_page_refers_to_nothing_foreign_and_has_nothing_inline(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        pages = {path: (await client.get(path)).text for path in ROUTES if "/api/" not in path}

    page = pages["/dashboard"]
    assert "style=" not in page
    assert "onclick" not in page
    assert all("innerHTML" not in text and "eval(" not in text for text in pages.values())
    foreign = [text for text in pages.values() if "https://" in text]
    assert foreign == []
