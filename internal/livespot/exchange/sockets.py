"""The life of one WebSocket connection: frames out, text in, until either side ends it."""

from collections.abc import Callable

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from livespot.contracts.ports import Clock
from livespot.exchange.outbound import Outbound
from livespot.exchange.stream_socket import send_all

_CLOSE_SECONDS = 1.0
_POLICY = 1008
_GOING_AWAY = 1001


async def converse(
    websocket: WebSocket, outbound: Outbound, on_text: Callable[[str], None], clock: Clock
) -> None:
    """Serve an accepted connection until the client leaves or is lost."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_write, websocket, outbound)
        tasks.start_soon(_until_lost, outbound, tasks.cancel_scope)
        await _read(websocket, on_text)
        tasks.cancel_scope.cancel()
    code = _POLICY if outbound.lost.is_set() else _GOING_AWAY
    with clock.move_on_after(_CLOSE_SECONDS, shield=True):
        await _close(websocket, code)


async def _read(websocket: WebSocket, on_text: Callable[[str], None]) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        on_text(text if text is not None else message["bytes"].decode("utf-8", "replace"))


async def _write(websocket: WebSocket, outbound: Outbound) -> None:
    try:
        while True:
            await send_all(websocket, await outbound.take(), outbound.left)
    except WebSocketDisconnect:
        outbound.lost.set()


async def _until_lost(outbound: Outbound, scope: anyio.CancelScope) -> None:
    await outbound.lost.wait()
    scope.cancel()


async def _close(websocket: WebSocket, code: int) -> None:
    if websocket.client_state.name == "CONNECTED" and (
        websocket.application_state.name == "CONNECTED"
    ):
        try:
            await websocket.close(code)
        except WebSocketDisconnect:
            # The client was faster; there is nobody left to tell.
            return
