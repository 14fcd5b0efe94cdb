"""Limits the panel's connections: idle ones give way, slow headers and floods are ended.

The web server limits neither the number of silent connections nor the time that a header may take;
both is done here, below the application.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

# Key in the ASGI scope of the function that ends the connection at once.
ABORT = "livespot.abort"
HEADER_BYTES = 16_384
SEND_BUFFER_BYTES = 65_536
_HEADER_SECONDS = 5.0
_CONNECTIONS = 64

RefusedEarly = Callable[[int], tuple[int, list[tuple[bytes, bytes]], bytes]]


@dataclass(slots=True, kw_only=True)
class Yard:
    """All connections of one panel, oldest first.

    `refused(status)` audits a request that cannot be read, and returns its final status, headers
    and body. `evicted` counts connections closed for room, `late` those whose header did not come.
    """

    refused: RefusedEarly
    most: int = _CONNECTIONS
    header_seconds: float = _HEADER_SECONDS
    evicted: int = 0
    late: int = 0
    _open: dict["PanelConnection", None] = field(default_factory=dict)

    def enter(self, connection: "PanelConnection") -> bool:
        """Admit a connection, closing the oldest idle one if there is no room; False if none is."""
        if len(self._open) >= self.most:
            idle = next((known for known in self._open if known.is_idle), None)
            if idle is None:
                return False
            self.evicted += 1
            self.leave(idle)
            idle.transport.abort()
        self._open[connection] = None
        return True

    def leave(self, connection: "PanelConnection") -> None:
        self._open.pop(connection, None)

    @property
    def count(self) -> int:
        return len(self._open)

    @property
    def protocol(self) -> type["PanelConnection"]:
        """The connection class whose instances belong to this yard."""
        return type("PanelConnection", (PanelConnection,), {"yard": self})


class PanelConnection(H11Protocol):
    """One connection. It must send a whole header within five seconds and 16 KiB, or it ends."""

    yard: Yard
    _deadline: asyncio.TimerHandle | None = None
    _unread: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered on it."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def connection_made(  # type: ignore[override]  # the base narrows it in the same way
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        if not self.yard.enter(self):
            transport.abort()
            return
        transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self.yard.leave(self)
        self._disarm()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Let the guard end the connection at once; an orderly close would wait for its reader."""
        super().handle_events()
        scope = cast("dict[str, object] | None", self.scope)
        if scope is not None:
            scope[ABORT] = self.transport.abort

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self.is_idle:
            self._arm()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._unread = 0
            self._disarm()

    def send_400_response(self, msg: str) -> None:
        """Refuse and audit a request that could not be parsed, like any other refusal."""
        wanted = 431 if self._unread > HEADER_BYTES else 400
        status, headers, body = self.yard.refused(wanted)
        self._disarm()
        if self.is_idle:
            lines = [b"HTTP/1.1 %d " % status, *(name + b": " + value for name, value in headers)]
            self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.yard.header_seconds, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self.is_idle:
            self.yard.late += 1
            self.transport.abort()
