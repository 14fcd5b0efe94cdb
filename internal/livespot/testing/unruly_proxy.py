"""A proxy between runtime and exchange on loopback that damages what the exchange sends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.stapled import MultiListener

_CHUNK = 65_536
# An unmasked text frame of eight bytes that is no JSON.
_BAD_FRAME = b"\x81\x08\xff{]nope\x00"


class Temper(Enum):
    """What the runtime hears."""

    HONEST = "what the exchange says"
    NONSENSE = "200 with a page of HTML, and frames that are no JSON"
    FAILING = "503 to every request"
    WRONG_SHAPE = "200 with valid JSON that answers another question"


_ANSWERS = {
    Temper.NONSENSE: (b"200 OK", b"<html>maintenance</html>"),
    Temper.FAILING: (b"503 Service Unavailable", b"upstream gone"),
    Temper.WRONG_SHAPE: (b"200 OK", b'{"surprise": [1, null, "x"]}'),
}


@dataclass(slots=True)
class UnrulyProxy:
    """Passes bytes through until told otherwise; its temper may be changed at any time."""

    exchange_port: int
    port: int = 0
    temper: Temper = Temper.HONEST
    spoil_streams: bool = False
    spoilt: int = 0
    _scopes: set[anyio.CancelScope] = field(default_factory=set)

    def calm(self) -> None:
        """Honest again, on new connections: the old ones are out of step."""
        self.temper, self.spoil_streams = Temper.HONEST, False
        for scope in self._scopes:
            scope.cancel()

    async def _serve(self, client: SocketStream) -> None:
        async with client, await anyio.connect_tcp("127.0.0.1", self.exchange_port) as exchange:
            with anyio.CancelScope() as scope:
                self._scopes.add(scope)
                try:
                    await self._talk(client, exchange)
                finally:
                    self._scopes.discard(scope)

    async def _talk(self, client: SocketStream, exchange: SocketStream) -> None:
        first = await _received(client)
        is_stream = b"upgrade: websocket" in first.lower()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._backwards, exchange, client, tasks.cancel_scope, is_stream)
            chunk = first
            while chunk:
                if is_stream or self.temper is Temper.HONEST:
                    await _sent(exchange, chunk)
                else:
                    self.spoilt += 1
                    await _sent(client, _response(self.temper))
                chunk = await _received(client)
            tasks.cancel_scope.cancel()

    async def _backwards(
        self,
        exchange: SocketStream,
        client: SocketStream,
        whole: anyio.CancelScope,
        is_stream: bool,  # noqa: FBT001  passed by the task group
    ) -> None:
        greeted = False
        while chunk := await _received(exchange):
            if is_stream and greeted and self.spoil_streams:
                self.spoilt += 1
                chunk = _BAD_FRAME
            await _sent(client, chunk)
            greeted = True
        whole.cancel()


@asynccontextmanager
async def unruly_proxy(exchange_port: int) -> AsyncIterator[UnrulyProxy]:
    """Listens on a loopback port for the length of the block."""
    proxy = UnrulyProxy(exchange_port)
    listener: MultiListener[SocketStream] = await anyio.create_tcp_listener(
        local_host="127.0.0.1", local_port=0
    )
    proxy.port = listener.extra(SocketAttribute.local_port)  # noqa: S610  a socket, no database
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy._serve)  # noqa: SLF001  its own module
        yield proxy
        tasks.cancel_scope.cancel()


def _response(temper: Temper) -> bytes:
    status, body = _ANSWERS[temper]
    return b"HTTP/1.1 %s\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


async def _received(stream: SocketStream) -> bytes:
    """The next bytes; none when the other side has gone."""
    try:
        return await stream.receive(_CHUNK)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return b""


async def _sent(stream: SocketStream, data: bytes) -> None:
    """Bytes for a side that has gone are dropped; its reading end notices."""
    try:
        await stream.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
