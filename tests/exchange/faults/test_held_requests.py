"""A request that a fault holds back on a WebSocket whose connection meanwhile goes dead."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from livespot.exchange.faults.injector import Injector
from livespot.exchange.faults.lines import Line
from livespot.exchange.faults.plan import Delay, Fault
from livespot.exchange.faults.socket_wire import SocketWire
from livespot.exchange.journal import Journal, RequestRow, read_journal
from livespot.exchange.request_log import RequestLog
from livespot.testing.clock import ManualClock


class _Meanwhile(ManualClock):
    """Something happens while anybody sleeps."""

    happens: Callable[[], None] = staticmethod(lambda: None)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.happens()


@pytest.mark.parametrize(("end", "heard"), [(None, 1), (Line.mute, 0), (Line.reset, 0)])
async def test_what_is_held_back_when_its_connection_goes_dead_never_arrives(
    tmp_path: Path, end: Callable[[Line], None] | None, heard: int
) -> None:
    """The journal says so: nobody could have been answered."""
    clock, line = _Meanwhile(), Line("ws_api")
    if end is not None:
        clock.happens = lambda: end(line)
    journal = Journal(tmp_path / "journal.jsonl")
    faults = Injector(clock, journal)
    faults.add(Fault(id="late", what=Delay(target="ws_api", ms=400, leg="request")))
    faults.advance()
    texts: list[str] = []
    coming: list[Message] = [
        {"type": "websocket.receive", "text": json.dumps({"id": 1, "method": "ping"})},
        {"type": "websocket.disconnect"},
    ]

    async def receive() -> Message:
        return coming.pop(0)

    async def send(_message: Message) -> None:
        raise AssertionError("nobody answers here")

    async def listen(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            texts.append(str(message["text"]))

    wire = SocketWire(listen, faults, RequestLog(journal, clock))
    await wire.serve(line, {"type": "websocket", "path": "/ws-api/v3"}, receive, send)
    journal.close()

    rows = [row for row in read_journal(tmp_path / "journal.jsonl") if isinstance(row, RequestRow)]
    assert len(texts) == heard
    assert [(row.outcome, row.delivered) for row in rows] == [("unanswered", False)] * (1 - heard)
