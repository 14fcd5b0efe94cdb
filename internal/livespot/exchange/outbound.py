"""The bounded way out to one WebSocket client: whoever reads too slowly is cut off."""

from collections.abc import Callable

import anyio
import msgspec

from livespot.exchange.wake import Wake

_ENCODER = msgspec.json.Encoder()


def encode(body: object) -> str:
    """JSON text for a frame."""
    return _ENCODER.encode(body).decode()


class Outbound:
    """Frames for one client, in order. When the client lags `size` frames behind, it is lost."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.lost = anyio.Event()
        # Called with each frame that is out.
        self.left: Callable[[str], object] | None = None
        self._size = size
        self._texts: list[str] = []
        self._pushed = Wake()

    def push(self, text: str) -> bool:
        """Queue a frame without waiting; false when the client is lost."""
        if self.lost.is_set():
            return False
        if len(self._texts) >= self._size:
            self.lost.set()
            return False
        self._texts.append(text)
        self._pushed.set()
        return True

    @property
    def queued(self) -> int:
        """How many frames wait."""
        return len(self._texts)

    async def take(self) -> list[str]:
        """Everything that is queued, once something is; one task may wait for it."""
        while not self._texts:
            await self._pushed.wait()
        return self.waiting()

    def waiting(self) -> list[str]:
        """Take everything that is queued."""
        texts, self._texts = self._texts, []
        return texts

    def close(self) -> None:
        """Nothing more will be sent."""
        self.lost.set()
        self._texts.clear()


class OpenSockets:
    """Every connected client, with the form in which it is told that the server goes away."""

    def __init__(self) -> None:
        self._clients: dict[Outbound, tuple[str, Callable[[object], object]]] = {}

    def add(self, outbound: Outbound, farewell: Callable[[object], object], host: str) -> None:
        """A client has come from an address; `farewell` wraps an event as its face wraps events."""
        self._clients[outbound] = host, farewell

    def remove(self, outbound: Outbound) -> None:
        """A client has gone."""
        self._clients.pop(outbound, None)

    def cut(self, host: str | None = None) -> None:
        """Lose all clients of an address at once, or every client there is, as a ban does."""
        for outbound, (come_from, _) in self._clients.items():
            if host in (None, come_from):
                outbound.lost.set()

    def announce_shutdown(self, now_ms: int) -> None:
        """Tell every client to reconnect elsewhere."""
        event = {"e": "serverShutdown", "E": now_ms}
        for outbound, (_, farewell) in self._clients.items():
            outbound.push(encode(farewell(event)))
