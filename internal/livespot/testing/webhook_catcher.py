"""A real HTTP server on loopback that keeps what a webhook receives, and answers as told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

_MOST_HEAD = 65_536


@dataclass(frozen=True, slots=True)
class Caught:
    """One request as it arrived; header names are lower case."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Catcher:
    """`answers` are heads of answers given in order, the last one for ever; "" never answers."""

    port: int = 0
    caught: list[Caught] = field(default_factory=list)
    answers: list[str] = field(default_factory=lambda: ["200 OK"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, stream: SocketStream) -> None:
        """One request per connection."""
        async with stream:
            buffered = BufferedByteReceiveStream(stream)
            head = (await buffered.receive_until(b"\r\n\r\n", _MOST_HEAD)).decode("latin-1")
            request, *lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (li.partition(":") for li in lines)
            }
            body = await buffered.receive_exactly(int(headers.get("content-length", "0")))
            self.caught.append(Caught(request.split(" ")[1], headers, body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if not answer:
                await anyio.sleep_forever()
            closing = "connection: close\r\ncontent-length: 0\r\n\r\n"
            await stream.send(f"HTTP/1.1 {answer}\r\n{closing}".encode("latin-1"))


@asynccontextmanager
async def catching() -> AsyncIterator[Catcher]:
    """Serve on a free port until left."""
    catcher = Catcher()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        catcher.port = listener.extra(SocketAttribute.local_port)  # noqa: S610  not Django's
        tasks.start_soon(listener.serve, catcher.serve)
        yield catcher
        tasks.cancel_scope.cancel()
