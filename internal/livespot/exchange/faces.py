"""Which face of the exchange answers which path."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketClose

from livespot.exchange.model_gate import SCRIPT, ModelGate
from livespot.exchange.request_log import RequestLog

_STREAMS, _ONE_STREAM = frozenset({"/ws", "/stream"}), "/ws/"
_WS_API = "/ws-api/v3"
_MODEL = "/model/v1/chat/completions"

Serve = Callable[[WebSocket], Awaitable[None]]


class Faces:
    """An ASGI application. Chosen by hand: a framework's routing costs more than most answers."""

    def __init__(
        self, *, streams: Serve, ws_api: Serve, rest: ASGIApp, model: ModelGate, log: RequestLog
    ) -> None:
        self._streams = streams
        self._ws_api = ws_api
        self._rest = rest
        self._model = model
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "websocket":
            await self._socket(path, scope, receive, send)
        elif path != _MODEL:
            await self._rest(scope, receive, send)
        elif scope["method"] == "POST":
            response = await self._complete(Request(scope, receive))
            await response(scope, receive, send)
        else:
            refusal = PlainTextResponse("Method Not Allowed", 405, {"Allow": "POST"})
            await refusal(scope, receive, send)

    async def _socket(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path in _STREAMS or path.startswith(_ONE_STREAM):
            await self._streams(WebSocket(scope, receive, send))
        elif path == _WS_API:
            await self._ws_api(WebSocket(scope, receive, send))
        else:
            await WebSocketClose()(scope, receive, send)

    async def _complete(self, request: Request) -> Response:
        """What the demo model says."""
        arrival = self._log.arrive()
        status, body = await self._model.answer(await request.body(), request.scope.get(SCRIPT))
        what = (request.method, request.url.path)
        arrival.answered("model", what, {}, str(status), delivered=True)
        return Response(body, status, media_type="application/json")
