"""Connections end with age: a farewell first, then the cut."""

from collections.abc import Callable

import anyio
from starlette.websockets import WebSocket

from livespot.contracts.ports import Clock
from livespot.exchange.outbound import Outbound, encode
from livespot.exchange.settings import ExchangeSettings
from livespot.exchange.sockets import converse


async def converse_for_life(
    websocket: WebSocket,
    outbound: Outbound,
    on_text: Callable[[str], None],
    farewell: Callable[[object], object],
    clock: Clock,
    settings: ExchangeSettings,
) -> None:
    """Serve an accepted connection until the client leaves, is lost, or the socket is too old.

    `farewell` wraps the event that announces the cut as the face wraps events. The span is
    market time.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_grow_old, outbound, farewell, clock, settings)
        await converse(websocket, outbound, on_text, clock)
        tasks.cancel_scope.cancel()


async def _grow_old(
    outbound: Outbound,
    farewell: Callable[[object], object],
    clock: Clock,
    settings: ExchangeSettings,
) -> None:
    notice_ms = min(settings.shutdown_notice_ms, settings.connection_life_ms)
    await clock.sleep((settings.connection_life_ms - notice_ms) / 1000)
    outbound.push(encode(farewell({"e": "serverShutdown", "E": clock.now_ms()})))
    await clock.sleep(notice_ms / 1000)
    outbound.lost.set()
