"""The market stream face: raw and combined sockets, and what a client may not do on them."""

from typing import Any
from urllib.parse import unquote

from starlette.websockets import WebSocket

from livespot.exchange.connection_age import converse_for_life
from livespot.exchange.core import ExchangeCore
from livespot.exchange.model import Json, Rejection
from livespot.exchange.outbound import Outbound, encode
from livespot.exchange.serving import denial
from livespot.exchange.stream_channels import Listener
from livespot.exchange.stream_control import MOST_STREAMS, Control
from livespot.exchange.stream_socket import wire_of
from livespot.exchange.time_units import wants_microseconds

_MESSAGES_PER_SECOND = 5
_SECOND_MS = 1000
_MICROS = 1000


class StreamFace:
    """Serves `/ws`, `/ws/<streams>` and `/stream?streams=`."""

    def __init__(self, core: ExchangeCore) -> None:
        self._core = core
        self._opened = 0

    async def serve(self, websocket: WebSocket) -> None:
        """One connection."""
        core = self._core
        self._opened += 1
        outbound = Outbound(f"stream-{self._opened}", core.settings.queue_size)
        host = _host_of(websocket)
        try:
            core.meters.of(host).connect(core.clock.now_ms())
            visit = _Visit(core, outbound, websocket)
        except Rejection as error:
            outbound.close()
            await websocket.send_denial_response(denial(error, core.clock.now_ms()))
            return
        talk = (visit.on_text, visit.farewell)
        try:
            await websocket.accept()
            core.sockets.add(outbound, visit.farewell, host)
            visit.begin()
            await converse_for_life(websocket, outbound, *talk, core.clock, core.settings)
        finally:
            core.market.leave(visit.listener)
            core.sockets.remove(outbound)
            outbound.close()


class _Visit:
    """One client from its request to its end. Raises `Rejection` for a request that is wrong."""

    def __init__(self, core: ExchangeCore, outbound: Outbound, websocket: WebSocket) -> None:
        self._core = core
        self._outbound = outbound
        self._host = _host_of(websocket)
        self._second = -1
        self._messages = 0
        query = _query(websocket)
        path = str(websocket.scope["path"])
        micros = wants_microseconds(query.get("timeUnit"))
        combined = path == "/stream"
        # A server has undone the path's percent encoding already.
        listed = unquote(query.get("streams", "")) if combined else path[4:]
        self.listener = Listener(outbound, combined, _MICROS if micros else 1)
        self._streams = dict.fromkeys(filter(None, listed.split("/")))
        if len(self._streams) > MOST_STREAMS:
            raise Rejection(-1101, f"Too many streams; at most {MOST_STREAMS} are allowed.")
        self._control = Control(core.market, self.listener)
        wire = wire_of(websocket)
        if wire is not None:
            wire.on_control = self.count

    def begin(self) -> None:
        """Hear the streams the address named."""
        for stream in self._streams:
            self._core.market.subscribe(self.listener, stream)

    def on_text(self, text: str) -> None:
        """Answer a control message."""
        if self.count():
            self._outbound.push(encode(self._control.reply(text)))

    def count(self) -> bool:
        """Count a message, ping or pong; false when it was one too many and the client is lost."""
        second = self._core.clock.now_ms() // _SECOND_MS
        if second != self._second:
            self._second, self._messages = second, 0
        self._messages += 1
        if self._messages > _MESSAGES_PER_SECOND:
            self._cut_off()
            return False
        return True

    def _cut_off(self) -> None:
        if self._outbound.lost.is_set():
            return
        self._outbound.lost.set()
        if self._core.meters.of(self._host).note_cut(self._core.clock.now_ms()):
            self._core.sockets.cut(self._host)

    def farewell(self, event: Any) -> Json:
        """An event about the connection, as this client is told such things."""
        said = event | {"E": event["E"] * self.listener.unit}
        return {"stream": "!serverShutdown", "data": said} if self.listener.combined else said


def _host_of(websocket: WebSocket) -> str:
    return websocket.client.host if websocket.client is not None else ""


def _query(websocket: WebSocket) -> dict[str, str]:
    """Parameters as they stand: a plus sign is itself here, as in the name of a time zone."""
    text = bytes(websocket.scope["query_string"]).decode("ascii")
    pairs = (part.partition("=") for part in text.split("&"))
    return {name: value for name, _, value in pairs}
