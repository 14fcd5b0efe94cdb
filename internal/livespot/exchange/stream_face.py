"""The market stream face: raw and combined sockets and their control messages."""

from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.websockets import WebSocket

from livespot.contracts.ports import Clock
from livespot.exchange.market_hub import Listener, MarketHub
from livespot.exchange.outbound import OpenSockets, Outbound, encode
from livespot.exchange.sockets import converse

_MOST_STREAMS = 1024
_MESSAGES_PER_SECOND = 5
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class ControlError(Exception):
    """A control message that is refused with a code of its own."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code = code


class StreamFace:
    """Serves `/ws`, `/ws/<streams>` and `/stream?streams=`."""

    def __init__(self, hub: MarketHub, sockets: OpenSockets, clock: Clock, queue_size: int) -> None:
        self._hub = hub
        self._sockets = sockets
        self._clock = clock
        self._queue_size = queue_size
        self._opened = 0

    async def serve(self, websocket: WebSocket) -> None:
        """One connection."""
        self._opened += 1
        outbound = Outbound(f"stream-{self._opened}", self._queue_size)
        path = websocket.scope["path"]
        listener = Listener(outbound, combined=path == "/stream")
        listed = websocket.query_params.get("streams", "") if listener.combined else path[4:]
        await websocket.accept()
        self._sockets.add(
            outbound,
            lambda event: (
                {"stream": "!serverShutdown", "data": event} if listener.combined else event
            ),
        )
        for stream in filter(None, unquote(listed).split("/")):
            self._hub.subscribe(listener, stream)
        control = Control(self._hub, listener, self._clock)
        try:
            await converse(websocket, outbound, control.on_text, self._clock)
        finally:
            self._hub.leave(listener)
            self._sockets.remove(outbound)
            outbound.close()


class Control:
    """Answers one client's control messages and counts them."""

    def __init__(self, hub: MarketHub, listener: Listener, clock: Clock) -> None:
        self._hub = hub
        self._listener = listener
        self._clock = clock
        self._second = -1
        self._messages = 0

    def on_text(self, text: str) -> None:
        """Answer a message; a client that talks too much is lost."""
        second = self._clock.now_ms() // 1000
        if second != self._second:
            self._second, self._messages = second, 0
        self._messages += 1
        if self._messages > _MESSAGES_PER_SECOND:
            self._listener.outbound.lost.set()
            return
        self._listener.outbound.push(encode(self.reply(text)))

    def reply(self, text: str) -> dict[str, Any]:
        """The answer to a control message."""
        try:
            request = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
        try:
            number = _request_id(request)
        except ControlError as error:
            return {"code": error.code, "msg": str(error)}
        try:
            return {"result": self._act(request, text), "id": number}
        except ControlError as error:
            return {"code": error.code, "msg": str(error), "id": number}

    def _act(self, request: dict[str, Any], text: str) -> object:
        method = request.get("method")
        if method is None:
            raise ControlError(
                2, f"Invalid request: missing field `method` at line 1 column {len(text)}"
            )
        if method not in _METHODS:
            column = text.find(str(method)) + len(str(method)) + 1
            expected = ", ".join(f"`{name}`" for name in _METHODS)
            raise ControlError(
                2,
                f"Invalid request: unknown variant `{method}`, expected one of {expected} "
                f"at line 1 column {column}",
            )
        params = request.get("params", [])
        if not isinstance(params, list):
            raise ControlError(2, "Invalid request: params must be an array")
        if method == "LIST_SUBSCRIPTIONS":
            return list(self._listener.streams)
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            self._change(method, params)
            return None
        return self._property(method, params)

    def _change(self, method: str, params: list[object]) -> None:
        names = [name for name in params if isinstance(name, str)]
        if len(names) != len(params):
            raise ControlError(2, "Invalid request: stream name must be a string")
        if method == "UNSUBSCRIBE":
            for name in names:
                self._hub.unsubscribe(self._listener, name)
            return
        if len(self._listener.streams | dict.fromkeys(names)) > _MOST_STREAMS:
            raise ControlError(2, "Invalid request: too many parameters")
        for name in names:
            self._hub.subscribe(self._listener, name)

    def _property(self, method: str, params: list[object]) -> object:
        if len(params) > (2 if method == "SET_PROPERTY" else 1):
            raise ControlError(2, "Invalid request: too many parameters")
        name = params[0] if params else None
        if not isinstance(name, str):
            raise ControlError(2, "Invalid request: property name must be a string")
        if name != "combined":
            raise ControlError(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self._listener.combined
        value = params[1] if len(params) > 1 else None
        if not isinstance(value, bool):
            raise ControlError(1, "Invalid value type: expected Boolean")
        self._listener.combined = value
        return None


def _request_id(request: object) -> int | str | None:
    number = request.get("id") if isinstance(request, dict) else None
    if not isinstance(request, dict):
        raise ControlError(2, "Invalid request: expected an object")
    whole = isinstance(number, int) and not isinstance(number, bool)
    if number is None or whole or (isinstance(number, str) and len(number) <= 36):
        return number
    raise ControlError(2, "Invalid request: request ID must be an unsigned integer")
