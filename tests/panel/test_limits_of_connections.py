"""Silent, slow and oversized clients lose their connection; an operator's page always gets one."""

import socket
from pathlib import Path

import anyio
import httpx
import psutil
import pytest

from livespot.contracts.settings import PanelSettings
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story
from livespot.testing.served_panel import Served, panel, raw, unguarded


@pytest.fixture
async def told(tmp_path: Path) -> Path:
    path = rows.fresh(tmp_path)
    await story.told(path)
    return path


def _asked(served: Served, target: str, more: str = "") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n{more}\r\n".encode()


async def _ends(stream: anyio.abc.SocketStream) -> bool:
    """Whether the server has closed it within five seconds."""
    with anyio.move_on_after(5):
        try:
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
    return False


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com", ""])  # noqa: S104
def test_no_address_but_loopback_can_be_configured(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        PanelSettings(host=host)


async def test_the_process_listens_on_loopback_only(told: Path) -> None:
    async with panel(told) as served:
        listening = [
            connection.laddr
            for connection in psutil.Process().net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == served.port
        ]

    assert {address.ip for address in listening} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "begun", [b"", b"GET /dash", b"GET /dashboard HTTP/1.1\r\nHost: 127.0.0.1"]
)
async def test_a_header_that_does_not_come_ends_the_connection(told: Path, begun: bytes) -> None:
    async with (
        panel(told, header_seconds=0.1) as served,
        await anyio.connect_tcp("127.0.0.1", served.port) as stream,
    ):
        if begun:
            await stream.send(begun)

        assert await _ends(stream)


async def test_a_header_byte_by_byte_has_no_more_time_than_a_silent_one(told: Path) -> None:
    async with (
        panel(told, header_seconds=0.2) as served,
        await anyio.connect_tcp("127.0.0.1", served.port) as stream,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_trickle, stream)

        assert await _ends(stream)
        tasks.cancel_scope.cancel()


async def _trickle(stream: anyio.abc.SocketStream) -> None:
    with anyio.CancelScope():
        try:
            while True:
                await stream.send(b"G")
                await anyio.sleep(0.02)
        except anyio.BrokenResourceError:
            return


async def test_seventy_silent_connections_leave_room_for_the_page(told: Path) -> None:
    silent: list[anyio.abc.SocketStream] = []
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        silent += [await anyio.connect_tcp("127.0.0.1", served.port) for _ in range(70)]

        answer = await client.get("/api/dashboard")

        assert answer.status_code == 200
        assert await _ends(silent[0])
        for stream in silent:
            await stream.aclose()


async def test_an_oversized_header_is_refused_and_audited(told: Path) -> None:
    async with panel(told) as served:
        whole = await raw(served.port, _asked(served, "/dashboard", f"X: {'x' * 20_000}\r\n"))
        endless = await raw(served.port, b"GET /dashboard HTTP/1.1\r\nX: " + b"x" * 65_536)

    assert whole.startswith(b"HTTP/1.1 431 ")
    assert endless.startswith(b"HTTP/1.1 431 ")
    assert b"content-security-policy" in endless
    assert ("/dashboard", "GET", 431) in served.audited
    assert ("unreadable", "OTHER", 431) in served.audited


@pytest.mark.parametrize(
    "text", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"HELLO / FTP/9\r\n\r\n"]
)
async def test_what_is_not_http_is_refused_and_audited(told: Path, text: bytes) -> None:
    async with panel(told) as served:
        answer = await raw(served.port, text)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"server:" not in answer.lower()
    assert served.audited == [("unreadable", "OTHER", 400)]


async def test_a_refusal_closes_what_was_pipelined_behind_it(told: Path) -> None:
    async with panel(told) as served:
        answer = await raw(
            served.port, _asked(served, "/../../.env") + _asked(served, "/api/dashboard")
        )

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in answer
    assert b"sysmode" not in answer
    assert len(served.audited) == 1


async def test_a_request_with_a_body_is_refused_unread(told: Path) -> None:
    async with panel(told) as served, httpx.AsyncClient(base_url=served.base) as client:
        answer = await client.request("GET", "/api/dashboard", content=b"x" * 100)

    assert answer.status_code == 400
    assert unguarded(answer) == []


async def _until(served: Served, connections: int) -> None:
    """The kernel tells nobody when a connection ends, so it is asked."""
    while served.connections() != connections:  # noqa: ASYNC110
        await anyio.sleep(0.1)


@pytest.mark.slow
async def test_a_viewer_that_never_reads_is_dropped(told: Path) -> None:
    async with (
        panel(told, send_seconds=0.2) as served,
        httpx.AsyncClient(base_url=served.base) as client,
    ):
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", served.port))
        stuck.sendall(_asked(served, "/api/stream"))
        with anyio.fail_after(30):
            await _until(served, 1)
            await _until(served, 0)
        answer = await client.get("/api/dashboard")
        stuck.close()

    assert answer.status_code == 200
