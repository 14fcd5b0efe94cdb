"""What a watched and besieged panel adds to the way of an order in the same process."""

import asyncio
import hashlib
import hmac
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from pathlib import Path
from statistics import median

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from tests.bench.report import Figure, report

from livespot.contracts.settings import PanelSettings
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET
from livespot.panel.server import PanelServer
from livespot.runtime.clock import SystemClock
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story
from livespot.venue.http_client import HttpxTransport

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

_VIEWERS = 8
_SILENT = 500
_CROWD, _SIZES = ("tests.bench.panel_crowd",), (str(_VIEWERS), str(_SILENT))
_ROUNDS = 5
_SECONDS = 6.0
_EVERY_SECONDS = 0.025
_MOST_ADDED_MS = 5.0
_ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00100&price=40000.00"


@asynccontextmanager
async def _child(*command: str) -> AsyncIterator[str]:
    """Another program, and the first line it prints; the loop goes on meanwhile."""
    async with await anyio.open_process([sys.executable, "-m", *command], stderr=None) as process:
        try:
            assert process.stdout is not None
            lines = BufferedByteReceiveStream(process.stdout)
            yield (await lines.receive_until(b"\n", 4096)).decode().strip()
        finally:
            process.terminate()


@contextmanager
def _held(taken: list[float]) -> Iterator[None]:
    """Milliseconds of processor time of every single turn that something has on the loop."""
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time_ns()
        run(handle)
        taken.append((time.thread_time_ns() - began) / 1e6)

    setattr(asyncio.Handle, "_run", timed)  # noqa: B010  its type is wrong in the stubs
    try:
        yield
    finally:
        setattr(asyncio.Handle, "_run", run)  # noqa: B010


@asynccontextmanager
async def _panel(database: Path) -> AsyncIterator[str]:
    """A panel at its shipped pace on this very loop; its port."""
    heard: list[str] = []
    server = PanelServer(
        database=database,
        settings=PanelSettings(port=0),
        clock=SystemClock(),
        wall=SystemClock(),
        audit_request=lambda *_: True,
        listening=heard.append,
        traces=DatabaseTraces(),
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        yield heard[0].rpartition(":")[2].partition("/")[0]
        tasks.cancel_scope.cancel()


async def _orders(transport: HttpxTransport, url: str) -> list[float]:
    """Milliseconds from the wish to the decoded end of each order's answer, at a steady pace."""
    taken = []
    ends = time.perf_counter() + _SECONDS
    due = time.perf_counter()
    while due < ends:
        await anyio.sleep(max(0.0, due - time.perf_counter()))
        # From the moment it was due: a loop that comes late to it has cost the order that time.
        await _send(transport, url)
        taken.append(1000 * (time.perf_counter() - due))
        due += _EVERY_SECONDS
    return taken


async def _send(transport: HttpxTransport, url: str) -> None:
    text = f"{_ORDER}&timestamp={time.time_ns() // 1_000_000}"
    proof = hmac.new(DEMO_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    answer = await transport.request(
        "POST",
        f"{url}/api/v3/order/test?{text}&signature={proof}",
        headers={"X-MBX-APIKEY": DEMO_KEY},
        content=b"",
        timeout_seconds=10,
    )
    assert answer.status == 200, answer.body


def _p99(taken: list[float]) -> float:
    return sorted(taken)[int(0.99 * len(taken))]


async def test_viewers_and_silent_sockets_add_less_than_five_milliseconds(tmp_path: Path) -> None:
    database = rows.fresh(tmp_path)
    await story.told(database)
    alone: list[list[float]] = []
    watched: list[list[float]] = []
    turns: list[float] = []
    async with (
        _child("tests.bench.order_server", str(tmp_path)) as url,
        HttpxTransport(SystemClock()) as transport,
    ):
        await _orders(transport, url)
        for _ in range(_ROUNDS):
            alone.append(await _orders(transport, url))
            async with _panel(database) as port, _child(*_CROWD, port, *_SIZES):
                with _held(turns):
                    watched.append(await _orders(transport, url))

    before, after = [*chain(*alone)], [*chain(*watched)]
    added = [_p99(b) - _p99(a) for a, b in zip(alone, watched, strict=True)]
    report(
        f"an order's way beside a panel with {_VIEWERS} viewers and {_SILENT} silent sockets",
        Figure("orders measured, alone and watched", len(before) + len(after), ""),
        Figure("median alone", median(before), "ms"),
        Figure("median watched", median(after), "ms"),
        Figure("p99 alone, all rounds", _p99(before), "ms"),
        Figure("p99 watched, all rounds", _p99(after), "ms"),
        Figure("a turn on the loop, watched, p99 of processor time", _p99(turns), "ms"),
        Figure("the longest turn on the loop, watched", max(turns), "ms"),
        Figure("p99 added, median of the rounds", median(added), "ms", most=_MOST_ADDED_MS),
    )
