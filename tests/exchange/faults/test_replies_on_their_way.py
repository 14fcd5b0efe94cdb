"""What the journal says of a reply on the WebSocket API that does not leave at once."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from livespot.exchange.faults.injector import Injector
from livespot.exchange.faults.lines import Line
from livespot.exchange.faults.plan import Blackhole, Delay, Fault, Match, Verb
from livespot.exchange.faults.socket_wire import SocketWire
from livespot.exchange.journal import (
    Journal,
    ReplyRow,
    RequestRow,
    Row,
    read_journal,
    with_their_replies,
)
from livespot.exchange.outbound import Outbound
from livespot.exchange.reply_watch import ReplyWatch
from livespot.exchange.request_log import RequestLog
from livespot.exchange.sockets import converse
from livespot.testing.clock import ManualClock

_EVENT = json.dumps({"subscriptionId": 0, "event": {"e": "executionReport"}})


class _Meanwhile(ManualClock):
    """Something happens while anybody sleeps."""

    happens: Callable[[], None] = staticmethod(lambda: None)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.happens()
        for _ in range(10):
            await anyio.lowlevel.checkpoint()


@dataclass
class Connection:
    """A client that asks some questions at once, and then leaves when it is told to."""

    path: Path
    asks: int = 1
    before: tuple[str, ...] = ()
    clock: _Meanwhile = field(default_factory=_Meanwhile)
    line: Line = field(default_factory=lambda: Line("ws_api"))
    leaves: anyio.Event = field(default_factory=anyio.Event)
    heard: list[str] = field(default_factory=list)
    began_ms: int = 0

    async def run(self, *faults: Verb, match: Match = Match.NOTHING) -> tuple[Row, ...]:
        journal = Journal(self.path)
        injector = Injector(self.clock, journal)
        for number, what in enumerate(faults):
            injector.add(Fault(id=f"fault-{number}", what=what, match=match))
        injector.advance()
        self.began_ms = self.clock.now_ms()
        log = RequestLog(journal, self.clock)
        wire = SocketWire(self._face(log), injector, log)
        scope = {"type": "websocket", "path": "/ws-api/v3", "headers": []}
        with anyio.fail_after(5):
            await wire.serve(self.line, scope, self._receive(), self._send)
        journal.close()
        return tuple(read_journal(self.path))

    def _face(self, log: RequestLog) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            websocket, outbound = WebSocket(scope, receive, send), Outbound("ws-api-1", 100)
            watch = ReplyWatch(log)
            outbound.left = watch.left
            for event in self.before:
                outbound.push(event)

            def on_text(text: str) -> None:
                arrival = log.arrive()
                outbound.push(watch.of(text, arrival.fate.rid))
                arrival.answered("ws-api-1", ("WS", "ping"), {}, "200", delivered=True)

            await websocket.accept()
            await converse(websocket, outbound, on_text, self.clock)
            outbound.close()
            watch.close()

        return serve

    def _receive(self) -> Receive:
        coming: list[Message] = [
            {"type": "websocket.receive", "text": json.dumps({"id": number, "method": "ping"})}
            for number in range(self.asks)
        ]
        coming.insert(0, {"type": "websocket.connect"})

        async def receive() -> Message:
            if not coming:
                await self.leaves.wait()
                return {"type": "websocket.disconnect", "code": 1001}
            return coming.pop(0)

        return receive

    async def _send(self, message: Message) -> None:
        if message["type"] != "websocket.send":
            return
        self.heard.append(str(message["text"]))
        if len(self.heard) == self.asks + len(self.before):
            self.leaves.set()


def told(rows: tuple[Row, ...]) -> list[tuple[int, bool]]:
    """When the reply to each request left, by the journal as a whole."""
    return [
        (row.t_reply, row.delivered)
        for row in with_their_replies(rows)
        if isinstance(row, RequestRow)
    ]


def replies(rows: tuple[Row, ...]) -> list[ReplyRow]:
    return [row for row in rows if isinstance(row, ReplyRow)]


async def test_a_reply_that_leaves_at_once_is_told_of_once(tmp_path: Path) -> None:
    there = Connection(tmp_path / "journal", asks=2)

    rows = await there.run()

    assert replies(rows) == []
    assert told(rows) == [(there.began_ms, True)] * 2


async def test_a_reply_held_back_and_the_one_behind_it_are_dated_when_they_leave(
    tmp_path: Path,
) -> None:
    there = Connection(tmp_path / "journal", asks=2)

    rows = await there.run(Delay(target="ws_api", ms=400, leg="reply"))

    assert len(there.heard) == 2
    assert [at_ms - there.began_ms for at_ms, _ in told(rows)] == [400, 800]
    assert all(delivered for _, delivered in told(rows))


@pytest.mark.parametrize("end", [Line.mute, Line.reset])
async def test_a_reply_held_back_for_longer_than_its_connection_lives_is_lost(
    tmp_path: Path, end: Callable[[Line], None]
) -> None:
    there = Connection(tmp_path / "journal")

    def dies() -> None:
        end(there.line)
        there.leaves.set()

    there.clock.happens = dies
    rows = await there.run(Delay(target="ws_api", ms=400, leg="reply"))

    assert there.heard == []
    assert told(rows) == [(there.began_ms + 400, False)]


async def test_a_reply_behind_the_frame_that_silences_the_connection_is_lost(
    tmp_path: Path,
) -> None:
    there = Connection(tmp_path / "journal", before=(_EVENT,))
    there.line.host = there
    match = Match(event="executionReport")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_soon, there)
        rows = await there.run(Blackhole(target="ws_user"), match=match)

    assert there.heard == []
    assert told(rows) == [(there.began_ms, False)]


async def test_replies_that_still_wait_when_the_client_leaves_are_lost(tmp_path: Path) -> None:
    there = Connection(tmp_path / "journal", asks=3)
    there.clock.happens = there.leaves.set

    rows = await there.run(Delay(target="ws_api", ms=400, leg="reply"))

    assert [delivered for _, delivered in told(rows)] == [False, False, False]
    assert there.heard == []


async def _leave_soon(there: Connection) -> None:
    while there.line.held_by == "":
        await anyio.lowlevel.checkpoint()
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    there.leaves.set()
