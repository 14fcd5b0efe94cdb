"""The panel of a life on virtual time, and its friendly and hostile visitors.

There is no socket: requests reach the panel's own guard and routes as its server would hand them
over. Mail to an actor, or a request to anybody, that a visit causes is recorded.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiosqlite
import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from starlette.types import Message, Scope

from livespot.actors.audit import AuditWriter
from livespot.contracts.ports import Clock
from livespot.contracts.settings import PanelSettings
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.panel.app import STREAM, is_open, panel_app, template
from livespot.panel.database import PanelDatabase
from livespot.panel.guard import Guard
from livespot.panel.hub import Hub
from livespot.panel.pages import Pages
from livespot.runtime.opening import web_audit
from livespot.runtime.replay_wire import Wire
from livespot.runtime.system import System
from livespot.testing.search.board import Board
from livespot.testing.search.troubles import PageAsked, Trouble

OWN_HOST = "127.0.0.1:8787"
CAUSED = "http.caused"
# The visit in whose course something happens.
VISIT: ContextVar[str] = ContextVar("VISIT", default="")
_HOSTS = frozenset({OWN_HOST, "localhost:8787"})


class _Inline:
    """What the panel needs of a connection, on the calling task."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def execute(self, sql: str) -> None:
        self._connection.execute(sql)

    async def execute_fetchall(self, sql: str, values: Any = ()) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    async def rollback(self) -> None:
        self._connection.rollback()


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitedPanel:
    """The panel of one life as an actor: it answers those of the plan's visits that are due in it.

    What a request is answered with is a line in the harness's log, and so is whatever it causes.
    `left_open` is where a killed life leaves its connection; the next one closes it.
    """

    board: Board
    database: Path
    settings: PanelSettings
    clock: Clock
    writer: AuditWriter
    left_open: list[sqlite3.Connection]

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Answer until cancelled."""
        task_status.started()
        for connection in self.left_open:
            connection.close()
        uri = f"{self.database.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            self.left_open[:] = [connection]
            connection.execute("PRAGMA query_only = ON")
            inline = cast("aiosqlite.Connection", _Inline(connection))
            database = PanelDatabase(inline, self.clock)
            hub = Hub(clock=self.clock, wall=self.clock, settings=self.settings)
            pages = Pages(database, self.clock, DatabaseTraces())
            guard = Guard(
                app=panel_app(hub, self.clock, pages),
                hosts=_HOSTS,
                template=template,
                is_open=is_open,
                stream=STREAM,
                wall=self.clock,
                audit_request=web_audit(self.writer, self.clock),
            )
            for trouble in self.board.coming(PageAsked):
                begin_ms, _ = self.board.span(trouble)
                wait_ms = begin_ms - (self.clock.now_ms() - self.board.began_ms)
                await self.clock.sleep(max(0, wait_ms) / 1000)
                await hub.build(database)
                await self._visit(guard, trouble)
            await anyio.sleep_forever()

    async def _visit(self, guard: Guard, trouble: Trouble) -> None:
        what = trouble.what
        if not isinstance(what, PageAsked):
            return
        token = VISIT.set(trouble.id)
        try:
            for _ in range(what.times):
                answered: list[Message] = []

                async def send(message: Message, answered: list[Message] = answered) -> None:
                    answered.append(message)

                await guard(_scope(what), _nothing, send)
                self.board.hit(trouble, told=str(answered[0]["status"]))
        finally:
            VISIT.reset(token)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _scope(what: PageAsked) -> Scope:
    path, _, query = what.path.partition("?")
    headers = [(b"host", (what.host or OWN_HOST).encode())]
    if what.origin:
        headers.append((b"origin", what.origin.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": what.method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 50_000),
        "headers": headers,
    }


def watch_mail(system: System, board: Board) -> None:
    """Put on record whatever a visit has to say to an actor."""
    for box in system.house.wires.measured():
        for name in ("send", "offer", "put"):
            sending = getattr(box, name, None)
            if sending is not None:
                setattr(box, name, watched(sending, board))


def watch_wire(wire: Wire, board: Board) -> None:
    """Put on record whatever a visit asks of exchange or model."""
    wire.request = watched(wire.request, board)  # type: ignore[method-assign]


def watched(act: Callable[..., Any], board: Board) -> Callable[..., Any]:
    def acted(*args: Any, **named: Any) -> Any:
        visit = VISIT.get()
        for trouble in board.troubles if visit else ():
            if trouble.id == visit:
                board.hit(trouble, verb=CAUSED)
        return act(*args, **named)

    return acted
