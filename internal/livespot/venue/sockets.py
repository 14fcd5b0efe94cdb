"""The byte-level socket port, on the websockets library."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import CloseCode

from livespot.contracts.errors import Throttled, Unreachable
from livespot.contracts.ports import Clock
from livespot.contracts.transport import Socket, SocketTransport
from livespot.venue.weights import WeightBudget

_OPEN_SECONDS = 10
_CLOSE_SECONDS = 2
_PING_SECONDS = 20
# High and low water marks, in frames: reading pauses above the first, resumes below the second.
_QUEUE = (1024, 256)
_MOST_BYTES = 8 * 2**20
_REFUSALS = frozenset({403, 418, 429})
_DEFAULT_RETRY_MS = {403: 60_000, 418: 120_000, 429: 60_000}


class WebsocketsTransport:
    """A `SocketTransport`. Pings are sent every `ping_seconds` of wall time; None sends none."""

    def __init__(self, clock: Clock, *, ping_seconds: float | None = _PING_SECONDS) -> None:
        # At DEBUG the library prints every frame, signed requests included.
        logging.getLogger("websockets").setLevel(logging.WARNING)
        self._clock = clock
        self._ping_seconds = ping_seconds

    def connect(self, url: str) -> AbstractAsyncContextManager[Socket]:
        return self._connect(url)

    @asynccontextmanager
    async def _connect(self, url: str) -> AsyncIterator[Socket]:
        connection = await self._open(url)
        try:
            yield _OpenSocket(connection)
        finally:
            with self._clock.move_on_after(_CLOSE_SECONDS, shield=True):
                await connection.close(CloseCode.GOING_AWAY)

    async def _open(self, url: str) -> ClientConnection:
        place = url.partition("?")[0]
        try:
            with self._clock.fail_after(_OPEN_SECONDS):
                return await connect(
                    url,
                    compression=None,
                    proxy=None,
                    open_timeout=None,
                    close_timeout=1,
                    ping_interval=self._ping_seconds,
                    ping_timeout=self._ping_seconds,
                    max_queue=_QUEUE,
                    max_size=_MOST_BYTES,
                    user_agent_header=None,
                )
        except InvalidStatus as error:
            raise _refusal(place, error) from error
        except (OSError, TimeoutError, EOFError, WebSocketException) as error:
            raise Unreachable(f"cannot connect to {place}: {type(error).__name__}") from error


@asynccontextmanager
async def open_socket(
    transport: SocketTransport, url: str, budget: WeightBudget | None
) -> AsyncIterator[Socket]:
    """Connect, unless the address is banned; a ban met while connecting is noted in the budget.

    Raises `Throttled`, with nothing sent, while a ban lasts; otherwise what the transport raises.
    """
    if budget is not None:
        budget.require_unbanned()
    async with AsyncExitStack() as stack:
        try:
            socket = await stack.enter_async_context(transport.connect(url))
        except Throttled as error:
            if budget is not None and error.banned:
                budget.silence(error)
            raise
        yield socket


class _OpenSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _gone(error) from error

    async def receive(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            raise _gone(error) from error

    def receive_nowait(self) -> bytes | None:
        """A whole message the library has assembled already, else None.

        The library offers no such call, but its `recv` returns without suspending when a message
        is there, and is documented as safe to cancel when none is. So it is stepped once by hand;
        if it wants to wait, it is cancelled on the spot and puts back whatever it held.
        """
        step = self._connection.recv(decode=False)
        try:
            step.send(None)
        except StopIteration as done:
            message: bytes = done.value
            return message
        except ConnectionClosed as error:
            raise _gone(error) from error
        try:
            step.throw(asyncio.CancelledError())
        except asyncio.CancelledError:
            return None
        finally:
            step.close()
        raise RuntimeError("a cancelled recv went on")


def _gone(error: ConnectionClosed) -> Unreachable:
    code = error.rcvd.code if error.rcvd is not None else CloseCode.ABNORMAL_CLOSURE
    return Unreachable(f"the connection was closed with {int(code)}")


def _refusal(place: str, error: InvalidStatus) -> Throttled | Unreachable:
    status = error.response.status_code
    if status not in _REFUSALS:
        return Unreachable(f"{place} refused the connection with {status}")
    header = error.response.headers.get("Retry-After", "")
    stated = int(header) * 1000 if header.isascii() and header.isdigit() else 0
    return Throttled(retry_after_ms=stated or _DEFAULT_RETRY_MS[status], banned=status == 418)
