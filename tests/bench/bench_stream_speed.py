"""Book tickers of 400 symbols from the matching engine to one client, through a real socket."""

import json
import subprocess
import sys
import time
from asyncio import Runner
from dataclasses import dataclass

import msgspec
import pytest
import uvloop
from tests.bench.report import Figure, report
from tests.bench.stream_server import SYMBOLS
from tests.exchange.stream_rig import symbol_names
from websockets.asyncio.client import connect

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

_LEAST_PER_SECOND = 20_000
_MESSAGES = 200_000
_ROUNDS = 3


class _Top(msgspec.Struct):
    u: int
    s: str


class _Frame(msgspec.Struct):
    stream: str
    data: _Top


@dataclass(frozen=True, slots=True)
class _Round:
    """`server_us` is the exchange's processor time for one message, the client's is `client_us`."""

    per_second: float
    server_us: float
    client_us: float

    @property
    def undisturbed(self) -> float:
        """Messages a second when nothing else wants the two processors."""
        return 1e6 / max(self.server_us, self.client_us)


def _measure(levels: int) -> _Round:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.stream_server", str(levels), str(_MESSAGES)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the server has no output")
        port = int(process.stdout.readline())
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            cpu, wall = runner.run(_listen(f"ws://127.0.0.1:{port}/stream"))
        figures = json.loads(process.stdout.readline())
        assert figures["messages"] == _MESSAGES
    finally:
        process.terminate()
        process.communicate()
    return _Round(
        per_second=_MESSAGES / wall,
        server_us=figures["cpu"] / _MESSAGES * 1e6,
        client_us=cpu / _MESSAGES * 1e6,
    )


async def _listen(url: str) -> tuple[float, float]:
    """Processor and wall time from the first message to the last; checks each symbol's last."""
    decoder = msgspec.json.Decoder(_Frame)
    names = symbol_names(SYMBOLS)
    streams = [f"{name.lower()}@bookTicker" for name in names]
    async with connect(url, compression=None, proxy=None, max_queue=(4096, 1024)) as socket:
        await socket.send(
            msgspec.json.encode({"method": "SUBSCRIBE", "params": streams, "id": 1}).decode()
        )
        await socket.recv()
        last: dict[str, int] = {}
        first = decoder.decode(await socket.recv(decode=False))
        last[first.data.s] = first.data.u
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(_MESSAGES - 1):
            top = decoder.decode(await socket.recv(decode=False)).data
            # Not one update may be missing: every change of a top is a message of its own.
            assert last.get(top.s, top.u - 1) == top.u - 1
            last[top.s] = top.u
        taken = time.process_time() - cpu, time.perf_counter() - wall
    assert sorted(last) == names
    return taken


@pytest.mark.parametrize("levels", [1, 20])
def test_four_hundred_books_reach_one_client_at_twenty_thousand_a_second(levels: int) -> None:
    rounds = [_measure(levels) for _ in range(_ROUNDS)]

    best = max(one.undisturbed for one in rounds)
    report(
        f"book tickers of {SYMBOLS} symbols, books of {levels} levels a side, engine to client",
        Figure("messages a second, as it was", max(one.per_second for one in rounds), ""),
        Figure("exchange", min(one.server_us for one in rounds), "us each"),
        Figure("client", min(one.client_us for one in rounds), "us each"),
        Figure("messages a second, by processor time", best, "", least=_LEAST_PER_SECOND),
    )
