"""Serves the panel inside the runtime: its own socket, database connection and task group.

Reads: the audit database, read-only. Writes: nothing; requests are audited through a callable.
Owns: the listening socket, the newest snapshot and the viewers' connections.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import uvicorn
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from livespot.contracts.errors import Transient
from livespot.contracts.ports import Clock
from livespot.contracts.settings import PanelSettings
from livespot.contracts.vocabulary import SysMode
from livespot.panel.app import STREAM, is_open, panel_app, template
from livespot.panel.connections import HEADER_BYTES, SEND_BUFFER_BYTES, Yard
from livespot.panel.dashboard import Dashboard
from livespot.panel.database import opened
from livespot.panel.guard import AuditRequest, Guard
from livespot.panel.hub import Hub
from livespot.panel.pages import Pages
from livespot.panel.traces import Traces

_KEEP_ALIVE_SECONDS = 5
_FLUSH_SECONDS = 1.0
# The loop accepts all waiting connections in one turn; a storm of them must not delay an order.
_ACCEPTED_AT_ONCE = 8


class PanelUnavailable(Transient):
    """The panel cannot listen. Trading does not depend on it; only the next start tries again."""


class _Embedded(uvicorn.Server):
    """A server that does not touch the process's signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelServer:
    """The panel as an actor.

    `clock` is market time and paces the snapshots; `wall` is machine time, for connections.
    `listening` is called with the page's address once it is open; with a `token` the address
    carries it, and without it only the empty page is shown. `place` names the state directory in
    the commands that the page advises. A viewer has `send_seconds` to take a
    piece of an answer, and `header_seconds` to send a whole header.
    """

    database: Path
    settings: PanelSettings
    clock: Clock
    wall: Clock
    audit_request: AuditRequest
    listening: Callable[[str], None]
    traces: Traces
    token: str = ""
    mode_now: Callable[[], SysMode] | None = None
    place: Callable[[Dashboard], Dashboard] = lambda dashboard: dashboard
    send_seconds: float = 10.0
    header_seconds: float = 5.0

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. Raises `PanelUnavailable` or `PanelUnreadable`."""
        with listen(self.settings.host, self.settings.port) as listener:
            async with (
                opened(self.database, self.wall) as database,
                opened(self.database, self.wall) as asked,
            ):
                hub = Hub(
                    clock=self.clock,
                    wall=self.wall,
                    settings=self.settings,
                    mode_now=self.mode_now,
                    place=self.place,
                )
                await hub.build(database)
                port = int(listener.getsockname()[1])
                guard = Guard(
                    app=panel_app(hub, self.wall, Pages(asked, self.clock, self.traces)),
                    hosts=_hosts(self.settings.host, port),
                    template=template,
                    is_open=is_open,
                    stream=STREAM,
                    wall=self.wall,
                    audit_request=self.audit_request,
                    token=self.token,
                    send_seconds=self.send_seconds,
                )
                server = _server(
                    guard, Yard(refused=guard.refused_early, header_seconds=self.header_seconds)
                )
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_serve, server, listener)
                    tasks.start_soon(hub.run, database)
                    tasks.start_soon(self._flush, guard)
                    try:
                        self.listening(page_address(self.settings.host, port, self.token))
                        task_status.started()
                        await anyio.sleep_forever()
                    finally:
                        # The server ends only this way; cancelling its task would leave the
                        # port open and its requests orphaned.
                        server.should_exit = True
                        hub.close()

    async def _flush(self, guard: Guard) -> None:
        """Audit refused requests, at most one row a second."""
        while True:
            await self.wall.sleep(_FLUSH_SECONDS)
            guard.flush_refused()


def page_address(host: str, port: int, token: str = "") -> str:
    """Return the page's address for a person; a fragment never leaves the browser."""
    fragment = f"#token={token}" if token else ""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/dashboard{fragment}"


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Open a listening loopback socket, closed after the block. Raises `PanelUnavailable`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_ACCEPTED_AT_ONCE)
    except OSError as e:
        raise PanelUnavailable(
            f"the panel cannot listen on {host} port {port}: {e.strerror or e}. "
            "Trading goes on without it; free the port or set panel.port, then restart"
        ) from e
    # Accepted connections inherit it; unread data fills this and one buffer of ours.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    with listener:
        yield listener


def _hosts(host: str, port: int) -> frozenset[str]:
    """Return the Host values of a browser on this machine."""
    own = f"[{host}]" if ":" in host else host
    return frozenset(f"{name}:{port}" for name in (own, "localhost"))


def _server(guard: Guard, yard: Yard) -> _Embedded:
    return _Embedded(
        uvicorn.Config(
            guard,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            loop="none",
            http=yard.protocol,
            interface="asgi3",
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=HEADER_BYTES,
            backlog=_ACCEPTED_AT_ONCE,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
    )


async def _serve(server: _Embedded, listener: socket.socket) -> None:
    with anyio.CancelScope(shield=True):
        await server.serve(sockets=[listener])
