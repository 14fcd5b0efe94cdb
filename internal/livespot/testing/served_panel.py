"""A running panel as a client sees it, over real sockets, with everything it audits kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import httpx
import psutil

from livespot.contracts.settings import PanelSettings
from livespot.contracts.vocabulary import SysMode
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.panel.server import PanelServer
from livespot.runtime.clock import SystemClock
from livespot.runtime.paths import Paths
from livespot.runtime.placed import placed_fold
from livespot.testing.clock import ManualClock

_CARRIED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class SteadyClock(ManualClock):
    """The machine's time, except that no second passes between requests unless told."""

    async def sleep(self, seconds: float) -> None:
        await SystemClock().sleep(seconds)


class SpreadClock(SteadyClock):
    """Each look at the clock is a second later, so requests never come too fast."""

    def monotonic_ms(self) -> int:
        self.mono_ms += 1000
        return self.mono_ms


@dataclass(kw_only=True)
class Served:
    """A running panel as a client sees it."""

    base: str
    port: int
    audited: list[tuple[str, str, int]] = field(default_factory=list)
    audit_full: bool = False
    refused: int = 0
    counted: anyio.Event = field(default_factory=anyio.Event)

    def connections(self) -> int:
        """How many connections to the port are established, seen from the server's side."""
        return sum(
            connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == self.port
            for connection in psutil.Process().net_connections("tcp")
        )

    async def refusals_audited(self, number: int) -> None:
        """Wait until that many refusals for their number are in the audit."""
        while self.refused < number:
            await self.counted.wait()

    def audit(self, route: str, method: str, status: int) -> bool:
        self.audited.append((route, method, status))
        if route.startswith("over-limit x"):
            self.refused += int(route.removeprefix("over-limit x"))
            self.counted.set()
            self.counted = anyio.Event()
        return not self.audit_full


@asynccontextmanager
async def panel(
    path: Path,
    *,
    wall: ManualClock | None = None,
    mode: SysMode | None = None,
    token: str = "",
    send_seconds: float = 10.0,
    header_seconds: float = 5.0,
) -> AsyncIterator[Served]:
    served = Served(base="", port=0)

    def listening(address: str) -> None:
        served.base = address.partition("/dashboard")[0]
        served.port = int(served.base.rpartition(":")[2])

    server = PanelServer(
        database=path,
        settings=PanelSettings(port=0, stream_snapshot_interval_ms=100),
        clock=SystemClock(),
        wall=SpreadClock() if wall is None else wall,
        audit_request=served.audit,
        listening=listening,
        traces=DatabaseTraces(),
        place=partial(placed_fold, paths=Paths(var=path.parents[1])),
        token=token,
        send_seconds=send_seconds,
        header_seconds=header_seconds,
        mode_now=None if mode is None else lambda: mode,
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        yield served
        tasks.cancel_scope.cancel()


async def raw(port: int, request: bytes) -> bytes:
    """Everything the server says to these bytes until it closes or falls silent."""
    stream = await anyio.connect_tcp("127.0.0.1", port)
    received = b""
    async with stream:
        await stream.send(request)
        with SystemClock().move_on_after(0.3):
            while True:
                try:
                    received += await stream.receive()
                except anyio.EndOfStream:
                    break
    return received


def unguarded(answer: httpx.Response) -> list[str]:
    """What every answer has to carry, or must not, and this one does otherwise."""
    headers = answer.headers
    policy = headers.get("content-security-policy", "")
    wrong = [name for name, value in _CARRIED.items() if headers.get(name) != value]
    wrong += [name for name in ("server", "set-cookie", "x-powered-by") if name in headers]
    wrong += [name for name in headers if name.startswith("access-control")]
    if "default-src 'none'" not in policy or "unsafe" in policy:
        wrong.append("content-security-policy")
    return wrong
