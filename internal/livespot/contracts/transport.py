"""The network seam: byte-level HTTP and WebSocket, real or in process."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from livespot.contracts.base import Message


class HttpAnswer(Message, frozen=True):
    """A complete answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpTransport(Protocol):
    """Sends one request, once, and never retries it.

    Raises `NotSent` when it is proven that no byte left, `Unreachable` when the answer was lost.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        content: bytes,
        timeout_seconds: float,
    ) -> HttpAnswer: ...


class Socket(Protocol):
    """An open WebSocket. Both calls raise `Unreachable` once the other side is gone."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> bytes: ...

    def receive_nowait(self) -> bytes | None:
        """A frame that has arrived already, or None; lets a reader drain without yielding."""
        ...


class SocketTransport(Protocol):
    def connect(self, url: str) -> AbstractAsyncContextManager[Socket]:
        """Open a WebSocket; entering raises `Unreachable`, or `Throttled` on 418/429/403."""
        ...
