"""How soon the exchange command answers, and what 400 streamed symbols cost it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from tests.bench.report import Figure, report
from websockets.asyncio.client import connect

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

_MOST_SECONDS = 2.0
_MOST_MB = 150
_WATCHED_SECONDS = 60


@contextmanager
def running(tmp_path: Path, data: str) -> Iterator[tuple[float, str, psutil.Process]]:
    """The command with a data set: seconds until it printed its address, REST URL, process."""
    command = [str(Path(sys.executable).parent / "livespot"), "exchange", "--port", "0"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--data", data, "--keys", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        seconds = time.perf_counter() - began
        url = first.split()[2].rstrip(",")
        yield seconds, url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("data", ["recorded", "synthetic-400"])
def test_the_address_is_printed_within_two_seconds(tmp_path: Path, data: str) -> None:
    taken, worked = [], []
    for _ in range(3):
        with running(tmp_path, data) as (seconds, _url, process):
            worked.append(sum(process.cpu_times()[:2]))
            taken.append(seconds)

    report(
        f"exchange --data {data}",
        Figure("address printed", min(taken), "s"),
        Figure("processor time until then", min(worked), "s", most=_MOST_SECONDS),
    )


async def test_four_hundred_streamed_symbols_stay_light(tmp_path: Path) -> None:
    with running(tmp_path, "synthetic-400") as (_seconds, url, process):
        frames = await watch(url, _WATCHED_SECONDS)
        megabytes = process.memory_info().rss / 1_000_000
        share = sum(process.cpu_times()[:2]) / (time.time() - process.create_time())

    report(
        "exchange --data synthetic-400, one client on 400 bookTicker streams, 60 s",
        Figure("frames", frames, "", least=10_000),
        Figure("memory", megabytes, "MB", most=_MOST_MB),
        Figure("processor time, start included", 100 * share, "% of a core"),
    )


async def watch(url: str, seconds: float) -> int:
    """Frames a client of every symbol's best prices gets; it asks for their names first."""
    import httpx

    async with httpx.AsyncClient(trust_env=False) as http:
        answer: dict[str, Any] = (await http.get(f"{url}/api/v3/exchangeInfo")).json()
    names = [row["symbol"].lower() for row in answer["symbols"]]
    assert len(names) == 400
    streams = [f"{name}@bookTicker" for name in names]
    frames = 0
    async with connect(url.replace("http", "ws") + "/ws", proxy=None, compression=None) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIBE", "params": streams, "id": 1}))
        with anyio.move_on_after(seconds):
            while True:
                await socket.recv()
                frames += 1
    return frames
