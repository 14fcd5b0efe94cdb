"""The network seam in process: HTTP and WebSockets straight into an ASGI application."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
from anyio.abc import TaskStatus
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from livespot.contracts.errors import NotSent, Throttled, Unreachable
from livespot.contracts.ports import Clock
from livespot.contracts.transport import HttpAnswer, Socket
from livespot.exchange.stream_socket import WIRE
from livespot.runtime.bell import Bell, Latch
from livespot.runtime.replay_loop import NS_PER_MS, VirtualLoop
from livespot.runtime.replay_pipe import Latency, Pipe

_OPEN_SECONDS = 10
_GOING_AWAY = 1001
_ABNORMAL = 1006
_DEFAULT_RETRY_MS = {403: 60_000, 418: 120_000, 429: 60_000}
_SECOND_NS = 1000 * NS_PER_MS


class Wire:
    """The network between the runtime's transports and the exchange's application.

    An `HttpTransport` and a `SocketTransport`. The application runs in the task that calls `run`,
    so that killing a client does not affect it. With `batches`, frames to the client bypass the
    application's middleware, so no fault can act on them.
    """

    def __init__(
        self,
        app: ASGIApp,
        loop: VirtualLoop,
        clock: Clock,
        latency: Latency,
        *,
        batches: bool = False,
    ) -> None:
        self._app = app
        self._batches = batches
        self._loop = loop
        self._clock = clock
        self._latency = latency
        self._work: deque[Callable[[], Coroutine[Any, Any, None]]] = deque()
        self._work_came = Bell()
        self._is_over = False
        self._open: dict[int, _Call | _Line] = {}
        self._opened = 0
        self._listener: Callable[[], None] = _no_listener

    def tell(self, told: Callable[[], None]) -> None:
        """Call `told` whenever a request leaves, arrives, is processed or answered.

        Frames of a WebSocket on which the client also sends count, too.
        """
        self._listener = told

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. An error of the application ends it."""
        try:
            async with anyio.create_task_group() as tasks:
                task_status.started()
                while True:
                    while self._work:
                        tasks.start_soon(self._work.popleft())
                    await self._work_came.wait()
        finally:
            self._is_over = True
            # Killed clients keep a reference to this wire for good; drop the one to the exchange.
            self._app = _no_exchange

    def cut(self) -> None:
        """Lose every connection at once, as when the client's process dies."""
        for connection in list(self._open.values()):
            connection.cut()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        content: bytes,
        timeout_seconds: float,
    ) -> HttpAnswer:
        """Send once.

        Raises:
            NotSent: the exchange is gone.
            Unreachable: it may have arrived, and no whole answer came back in time.
        """
        call = _Call(_scope("http", url, headers, method), content)
        self._start(call, self._serve_call)
        self._listener()
        try:
            with self._clock.fail_after(timeout_seconds):
                await call.answered.wait()
            self._listener()
        except TimeoutError as error:
            what = f"{method} {url.partition('?')[0]}"
            raise Unreachable(f"{what}: no answer within {timeout_seconds} s") from error
        finally:
            call.gone.set()
        if call.lost:
            raise Unreachable(f"{method} {url.partition('?')[0]}: the connection was lost")
        return HttpAnswer(status=call.status, headers=call.headers, body=bytes(call.body))

    def connect(self, url: str) -> AbstractAsyncContextManager[Socket]:
        return self._connect(url)

    @asynccontextmanager
    async def _connect(self, url: str) -> AsyncIterator[Socket]:
        line = _Line(_scope("websocket", url, {}), self._loop, self._latency)
        if self._batches:
            line.scope["extensions"][WIRE] = line
        self._start(line, self._serve_line)
        try:
            await self._await_answer(line, url)
            yield _ClientSocket(line, self._listener)
        finally:
            line.up.close()

    async def _await_answer(self, line: "_Line", url: str) -> None:
        try:
            with self._clock.fail_after(_OPEN_SECONDS):
                await line.answered.wait()
                await self._travel()
        except TimeoutError as error:
            raise Unreachable(f"cannot connect to {url.partition('?')[0]}") from error
        line.require_accepted()

    def _start(self, connection: "_Call | _Line", serve: Callable[[Any], Awaitable[None]]) -> None:
        self._opened += 1
        number = self._opened
        connection.scope["client"] = ("client", number)

        async def job() -> None:
            self._open[number] = connection
            try:
                await serve(connection)
            finally:
                # The application put itself there; see `run`.
                connection.scope.clear()
                del self._open[number]

        if self._is_over:
            raise NotSent("the exchange is not there")
        self._work.append(job)
        self._work_came.ring()

    async def _serve_call(self, call: "_Call") -> None:
        await self._travel()
        self._listener()
        await self._app(call.scope, call.receive, call.send)
        self._listener()
        await self._travel()
        if not call.status:
            call.cut()
        call.answered.set()

    async def _serve_line(self, line: "_Line") -> None:
        await self._travel()
        try:
            await self._app(line.scope, line.receive, line.send)
        finally:
            line.answered.set()
            line.down.close()

    async def _travel(self) -> None:
        await self._clock.sleep(self._latency.draw_ns() / _SECOND_NS)


class _Call:
    """One HTTP request and its answer."""

    def __init__(self, scope: Scope, content: bytes) -> None:
        self.scope = scope
        self.answered = Latch()
        self.gone = Latch()
        self.lost = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self._content: bytes | None = content

    def cut(self) -> None:
        """Lose the connection, and an answer that has not arrived."""
        if not self.answered.is_set():
            self.lost = True
        self.gone.set()
        self.answered.set()

    async def receive(self) -> Message:
        content, self._content = self._content, None
        if content is not None:
            return {"type": "http.request", "body": content, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = _texts(message["headers"])
        else:
            self.body += message.get("body", b"")


class _Line:
    """One WebSocket, as the ASGI application sees it."""

    batches = True

    def __init__(self, scope: Scope, loop: VirtualLoop, latency: Latency) -> None:
        self.scope = scope
        # There are no pings on this wire.
        self.on_control: Callable[[], object] | None = None
        self.answered = Latch()
        self.up: Pipe[str] = Pipe(loop, latency)
        self.down: Pipe[bytes] = Pipe(loop, latency)
        self._greeted = False
        self._accepted = False
        # The status with which the server declined; 0 before that, also when the connection was
        # lost.
        self._refusal = 0
        self._retry_after = ""

    def require_accepted(self) -> None:
        """Raise `Throttled` or `Unreachable` when the server declined."""
        if self._accepted:
            return
        if not self._refusal:
            raise Unreachable("the connection was lost before it was accepted")
        if self._refusal not in _DEFAULT_RETRY_MS:
            raise Unreachable(f"the connection was refused with {self._refusal}")
        stated = int(self._retry_after) * 1000 if self._retry_after.isdigit() else 0
        retry_ms = stated or _DEFAULT_RETRY_MS[self._refusal]
        raise Throttled(retry_after_ms=retry_ms, banned=self._refusal == 418)

    def cut(self) -> None:
        """Lose the connection, with everything under way in both directions."""
        self.up.cut()
        self.down.cut()
        self.answered.set()

    async def receive(self) -> Message:
        if not self._greeted:
            self._greeted = True
            return {"type": "websocket.connect"}
        try:
            return {"type": "websocket.receive", "text": await self.up.get()}
        except Unreachable:
            return {"type": "websocket.disconnect", "code": _GOING_AWAY}

    async def send(self, message: Message) -> None:
        match message["type"]:
            case "websocket.send":
                await self._send_frame(message)
            case "websocket.accept":
                self._accepted = True
                self.answered.set()
            case "websocket.http.response.start":
                self._refusal = message["status"]
                self._retry_after = _texts(message["headers"]).get("retry-after", "")
            case "websocket.close":
                # In ASGI, closing before accepting is an answer of 403.
                self._refusal = self._refusal or 403
                self.answered.set()
                self.down.close()
            case _:
                self.answered.set()

    async def send_texts(self, texts: Sequence[str]) -> None:
        """Send frames. Raises `WebSocketDisconnect` when the client is gone."""
        try:
            await self.down.put_all(map(str.encode, texts))
        except Unreachable as error:
            raise WebSocketDisconnect(_ABNORMAL) from error

    async def _send_frame(self, message: Message) -> None:
        text = message.get("text")
        frame = text.encode() if text is not None else message["bytes"]
        try:
            await self.down.put(frame)
        except Unreachable as error:
            # The error an ASGI server raises when its client is gone.
            raise OSError("the client has gone") from error


class _ClientSocket:
    """The same WebSocket as the runtime sees it."""

    def __init__(self, line: _Line, told: Callable[[], None]) -> None:
        self._line = line
        self._listener = told
        self._speaks = False

    async def send(self, text: str) -> None:
        await self._line.up.put(text)
        self._speaks = True
        self._listener()

    async def receive(self) -> bytes:
        frame = await self._line.down.get()
        if self._speaks:
            self._listener()
        return frame

    def receive_nowait(self) -> bytes | None:
        return self._line.down.get_nowait()


def _no_listener() -> None:
    """The listener until `tell` sets one."""


async def _no_exchange(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where the exchange was."""


def _scope(kind: str, url: str, headers: dict[str, str], method: str = "GET") -> Scope:
    parts = urlsplit(url)
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [
            (b"host", parts.netloc.encode()),
            *((name.lower().encode(), text.encode()) for name, text in headers.items()),
        ],
        "client": None,
        "server": (parts.hostname, parts.port),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().lower(): text.decode("latin-1") for name, text in headers}
