"""An embedded exchange whose accounts may place as many orders as they like.

Arguments: a directory for its journal. Prints its port; otherwise it is what `livespot exchange`
serves, recorded market and journal included.
"""

import sys
from pathlib import Path

import anyio

from livespot.exchange.model import OrderLimits
from livespot.exchange.service import serve_exchange
from livespot.exchange.settings import ExchangeSettings
from livespot.exchange.state_file import ExchangeAddress
from livespot.runtime.clock import SystemClock
from livespot.runtime.loops import run_loop

_WITHOUT_END = 10**9


async def _serve(directory: str) -> None:
    settings = ExchangeSettings(
        shifted=True,
        order_limits=OrderLimits(ten_seconds=_WITHOUT_END, day=_WITHOUT_END),
        journal=Path(directory) / "journal.jsonl",
    )
    async with anyio.create_task_group() as tasks:
        address: ExchangeAddress = await tasks.start(serve_exchange, settings, SystemClock())
        sys.stdout.write(f"{address.rest_url}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    run_loop(_serve, sys.argv[1])
