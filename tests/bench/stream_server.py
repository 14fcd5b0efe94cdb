"""An embedded exchange of 400 symbols in a process of its own, whose books never rest.

Arguments: levels a side, messages to send. Prints its port, then, when all messages have been
handed to the socket, a line of JSON: what they cost. `queue` is what the client lagged at most.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import anyio
from tests.exchange.stream_rig import RIG_MS, SteadyHistory, engine_of, symbol_names

from livespot.exchange.core import ExchangeCore, open_exchange
from livespot.exchange.market import MarketEvent
from livespot.exchange.model import Levels, SymbolSpec
from livespot.exchange.service import _listen, _run_server, _server, application
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.clock import SystemClock
from livespot.runtime.loops import run_loop

SYMBOLS = 400
_MOST_QUEUED = 3000


class _Silent(SteadyHistory):
    def events(self, key: str, open_ms: int) -> tuple[MarketEvent, ...]:
        return ()


@dataclass(frozen=True)
class _Market:
    symbols: tuple[SymbolSpec, ...]
    series: Mapping[str, _Silent]
    data_id: str = "bench"
    sha256: str = ""
    start_ms: int = RIG_MS
    end_ms: int | None = None
    warm_up_minutes: int = 0

    def warm(self, now_ms: int, step: int) -> bool:
        return False


def market() -> _Market:
    """400 symbols alike."""
    names = symbol_names(SYMBOLS)
    return _Market(engine_of(names).symbols(), {name: _Silent(name) for name in names})


def _books(levels: int) -> list[tuple[Levels, Levels]]:
    """Books that differ in the quantity at the top, one side at a time."""
    deeper = range(1, levels)
    bids = [(Decimal(10_000 - depth) / 100, Decimal(5)) for depth in deeper]
    asks = [(Decimal(10_010 + depth) / 100, Decimal(5)) for depth in deeper]
    return [
        (
            [(Decimal(100), Decimal(1 + (number + 1) // 2)), *bids],
            [(Decimal("100.1"), Decimal(1 + number // 2)), *asks],
        )
        for number in range(20)
    ]


async def _drive(core: ExchangeCore, levels: int, messages: int) -> dict[str, float]:
    """Move one book after the other, in rounds over all symbols; one change is one message."""
    books, names = _books(levels), list(core.tapes)
    outbound = next(iter(core.sockets._clients))
    rounds, most = messages // len(names), 0
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(rounds):
        bids, asks = books[number % len(books)]
        for name in names:
            core.engine.set_book(name, bids, asks, core.clock.now_ms())
        core.settle()
        core.market.tick(core.clock.now_ms())
        queued = outbound.queued
        most = max(most, queued)
        await anyio.lowlevel.checkpoint()
        while outbound.queued > _MOST_QUEUED:  # noqa: ASYNC110
            await anyio.sleep(0.001)
    while outbound.queued:  # noqa: ASYNC110
        await anyio.sleep(0.001)
    return {
        "messages": rounds * len(names),
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "queue": most,
    }


async def _serve(levels: int, messages: int) -> None:
    core = open_exchange(ExchangeSettings(), market(), clock=SystemClock(), live_from_ms=RIG_MS)
    server = _server(core, application(core))
    with _listen(0) as listening:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_run_server, server, listening)
            sys.stdout.write(f"{listening.getsockname()[1]}\n")
            sys.stdout.flush()
            while len(core.market._channels) < SYMBOLS:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            figures = await _drive(core, levels, messages)
            sys.stdout.write(json.dumps(figures) + "\n")
            sys.stdout.flush()
            while core.sockets._clients:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            server.should_exit = True


if __name__ == "__main__":
    run_loop(_serve, int(sys.argv[1]), int(sys.argv[2]))
