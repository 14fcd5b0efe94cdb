"""Open connections as the network sees them: they can be reset, silenced or held.

The only place that knows how the server (uvicorn) ties an application's `send` to a transport.
"""

import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

import anyio

from livespot.exchange.faults.matching import Kind

# SO_LINGER with no time: closing sends a reset instead of an orderly end.
_NO_LINGER = struct.pack("ii", 1, 0)


class _Silent:
    """Stands in for a transport on which nothing passes and which nobody may close."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def write(self, data: bytes) -> None:
        """Lose it."""

    def close(self) -> None:
        if self._real.is_closing():
            self._real.close()

    def resume_reading(self) -> None:
        """Stay deaf."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@dataclass(eq=False, slots=True)
class Line:
    """One connection.

    Served in process it has no transport: then `host`, the object behind `send`, is told of its
    end by `cut()`, if it has that.
    """

    kind: Kind
    owner: Any = None
    host: Any = None
    ended: anyio.Event = field(default_factory=anyio.Event)
    held_by: str = ""
    silent: bool = False

    @property
    def is_open(self) -> bool:
        """False once either side has ended it."""
        if self.ended.is_set():
            return False
        return self.owner is None or not self.owner.transport.is_closing()

    def reset(self) -> None:
        """End it with a TCP reset."""
        self._unmute()
        self._end()
        if self.owner is None:
            return
        transport = self.owner.transport
        raw = transport.get_extra_info("socket")
        # The peer may have been faster: then there is no option left to set.
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    def close(self) -> None:
        """End it in order."""
        self._unmute()
        self._end()
        if self.owner is not None:
            self.owner.transport.close()

    def _end(self) -> None:
        self.ended.set()
        cut = getattr(self.host, "cut", None)
        if cut is not None:
            cut()

    def mute(self) -> None:
        """Let nothing pass any more; the connection stays open."""
        if self.silent:
            return
        self.silent = True
        if self.owner is None:
            return
        stop_pings = getattr(self.owner, "stop_keepalive", None)
        if stop_pings is not None:
            stop_pings()
        transport = self.owner.transport
        transport.pause_reading()
        self.owner.transport = _Silent(transport)

    def _unmute(self) -> None:
        transport = self.owner.transport if self.owner is not None else None
        if isinstance(transport, _Silent):
            self.owner.transport = transport._real  # noqa: SLF001  its own stand-in


class Lines:
    """All connections seen and still open."""

    def __init__(self) -> None:
        self._open: dict[object, Line] = {}

    def of(self, kind: Kind, send: object) -> Line:
        """The line behind an application's `send`; kept-alive connections keep theirs."""
        owner: Any = getattr(send, "__self__", None)
        if not hasattr(owner, "transport"):
            line = Line(kind, host=owner)
            self._open[line] = line
            return line
        key = owner.transport
        line = self._open.get(key) or self._open.setdefault(key, Line(kind, owner))
        # Over HTTP every request has an owner of its own on the same transport.
        line.owner, line.kind = owner, kind
        self._sweep()
        return line

    def forget(self, line: Line) -> None:
        """A WebSocket has ended."""
        for key in [key for key, one in self._open.items() if one is line]:
            del self._open[key]

    def strike(self, target: str, fault: str, *, reset: bool) -> int:
        """Reset or silence every open connection of a target; how many there were."""
        kind = "ws_api" if target == "ws_user" else target
        hit = [line for line in self._open.values() if line.kind == kind and line.is_open]
        for line in hit:
            if reset:
                line.reset()
            else:
                line.held_by = fault
                line.mute()
        return len(hit)

    def end(self, fault: str) -> None:
        """A fault is over: a stream that lost bytes cannot go on, so its lines are reset."""
        for line in list(self._open.values()):
            if line.held_by == fault:
                line.reset()

    def end_all(self) -> None:
        """The exchange ends: let nobody hang."""
        for line in list(self._open.values()):
            if line.held_by or line.silent:
                line.reset()

    def _sweep(self) -> None:
        if len(self._open) > 64:
            self._open = {key: line for key, line in self._open.items() if line.is_open}
