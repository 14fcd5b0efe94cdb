"""A WebSocket connection of uvicorn's that sends many frames in one write and tells of pings.

One write per frame, each through the framework, costs more than everything before it together.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol, cast

from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request, Response

WIRE = "livespot.wire"
_REFUSAL = "websocket.http.response.body"
_ABNORMAL = 1006


class FrameWire(Protocol):
    """What a server may leave in the extensions of a scope, under `WIRE`.

    With `batches`, frames go out by `send_texts`, past the application's own chain.
    """

    on_control: Callable[[], object] | None

    @property
    def batches(self) -> bool: ...

    async def send_texts(self, texts: Sequence[str]) -> None:
        """Send each text as a frame. Raises `WebSocketDisconnect` when the client has gone."""
        ...


class WireProtocol(WebSocketsSansIOProtocol):
    """Serves one connection; give the class to uvicorn's `ws` setting."""

    batches = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_control: Callable[[], object] | None = None

    def handle_connect(self, event: Request) -> None:
        """Let the application find this object in its scope."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast(dict[str, object], self.scope["extensions"])
            extensions[WIRE] = self

    def data_received(self, data: bytes) -> None:
        """Take in bytes; an unreadable request is answered, where uvicorn would say nothing."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_complete:
            self.handshake_complete = True
            status = HTTPStatus.BAD_REQUEST
            answer = Response(status, status.phrase, Headers({"Connection": "close"}))
            self.transport.write(answer.serialize())
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says; a refusal that is told whole completes the handshake.

        Else uvicorn complains of every refused client that nobody answered it.
        """
        await super().send(message)
        if message["type"] == _REFUSAL and not message.get("more_body", False):
            self.handshake_complete = True

    def handle_ping(self) -> None:
        """A ping has come; it is answered as always."""
        super().handle_ping()
        self._count()

    def handle_pong(self, event: Frame) -> None:
        """A pong has come, asked for or not."""
        super().handle_pong(event)
        self._count()

    async def send_texts(self, texts: Sequence[str]) -> None:
        """Send each text as a frame, all in one write, once the client has room.

        Raises:
            WebSocketDisconnect: the client has gone.
        """
        await self.writable.wait()
        try:
            for text in texts:
                self.conn.send_text(text.encode())
        except InvalidState as error:
            raise WebSocketDisconnect(_ABNORMAL) from error
        self.transport.write(b"".join(self.conn.data_to_send()))

    def _count(self) -> None:
        if self.on_control is not None:
            self.on_control()


class SingleFrameProtocol(WireProtocol):
    """Sends frame by frame through the application's own chain, where something looks at each."""

    batches = False


async def send_all(
    websocket: WebSocket, texts: Sequence[str], left: Callable[[str], object] | None = None
) -> None:
    """Send each text as a frame of its own, in one write where the connection can.

    `left` is called with each that is out.

    Raises:
        WebSocketDisconnect: the client has gone.
    """
    wire = wire_of(websocket)
    if wire is not None and wire.batches:
        await wire.send_texts(texts)
        if left is not None:
            for text in texts:
                left(text)
        return
    for text in texts:
        await websocket.send_text(text)
        if left is not None:
            left(text)


def wire_of(websocket: WebSocket) -> FrameWire | None:
    """The connection behind a WebSocket; None when whatever serves it left none in the scope."""
    return cast("FrameWire | None", websocket.scope.get("extensions", {}).get(WIRE))
