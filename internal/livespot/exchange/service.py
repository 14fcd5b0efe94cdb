"""Runs one embedded exchange on a loopback port until it is cancelled."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec
import uvicorn
from anyio.abc import TaskStatus
from starlette.applications import Starlette
from starlette.types import ASGIApp

from livespot.contracts.errors import PreflightFailed
from livespot.contracts.ports import Clock
from livespot.exchange.core import ExchangeCore, open_exchange
from livespot.exchange.data_sets import DataOrder, live_from, open_market
from livespot.exchange.faces import Faces
from livespot.exchange.faults.control import Control
from livespot.exchange.faults.wire import FaultWire
from livespot.exchange.journal import LifeRow
from livespot.exchange.model_gate import ModelGate
from livespot.exchange.pump import MarketPump
from livespot.exchange.request_log import RequestLog
from livespot.exchange.rest_face import RestFace
from livespot.exchange.settings import ExchangeSettings
from livespot.exchange.sources import MarketSource
from livespot.exchange.state_file import (
    ExchangeAddress,
    ExchangeState,
    address_of,
    write_state,
)
from livespot.exchange.stream_face import StreamFace
from livespot.exchange.stream_socket import SingleFrameProtocol, WireProtocol
from livespot.exchange.ws_api_face import WsApiFace

_HOST = "127.0.0.1"
_PING_SECONDS = 20
_PONG_SECONDS = 60
_IDLE_SECONDS = 75
_GRACE_SECONDS = 1
_FAREWELL_SECONDS = 0.02


class PortTaken(PreflightFailed):
    """Another process listens on the port."""


class _Embedded(uvicorn.Server):
    """A server that leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_exchange(
    settings: ExchangeSettings,
    clock: Clock,
    *,
    source: MarketSource | None = None,
    task_status: TaskStatus[ExchangeAddress] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; the address is reported once the port answers.

    `source` is the market the settings name, where the caller has opened it already.

    Raises:
        RecordedDataInvalid: the data is damaged or does not cover the clock's present.
        PortTaken: the port is in use.
    """
    with (
        _listen(settings.port) as listening,
        _control_socket(settings) as control,
        opened(settings, clock, source) as (core, pump, recorded),
    ):
        address = address_of(_HOST, listening.getsockname()[1])
        if control is not None:
            url = f"http://{_HOST}:{control.getsockname()[1]}"
            address = msgspec.structs.replace(address, control_url=url)
        await _serve(core, pump, (listening, control), (address, recorded), task_status)


@contextlib.contextmanager
def opened(
    settings: ExchangeSettings, clock: Clock, source: MarketSource | None = None
) -> Iterator[tuple[ExchangeCore, MarketPump, MarketSource]]:
    """An exchange brought to the clock's present; who opened it moves and serves it.

    Raises:
        RecordedDataInvalid: the data is damaged or does not cover the clock's present.
    """
    recorded = source or open_market(data_order(settings, clock.now_ms()))
    live_from_ms = live_from(recorded, clock.now_ms())
    core = open_exchange(settings, recorded, clock=clock, live_from_ms=live_from_ms)
    with contextlib.closing(core.journal):
        _note_life(core, recorded, "start")
        pump = MarketPump(core, seed=settings.seed, from_ms=live_from_ms)
        pump.catch_up()
        try:
            yield core, pump, recorded
        finally:
            if core.faults is not None:
                core.faults.stop(_planned_stop(core))
            _note_life(core, recorded, "stop")
            if settings.state_file is not None:
                settings.state_file.unlink(missing_ok=True)


async def _serve(
    core: ExchangeCore,
    pump: MarketPump,
    ports: tuple[socket.socket, socket.socket | None],
    place: tuple[ExchangeAddress, MarketSource],
    task_status: TaskStatus[ExchangeAddress],
) -> None:
    address, recorded = place
    server, control = _server(core, application(core)), _control_server(core)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run_server, server, ports[0])
        if ports[1] is not None:
            tasks.start_soon(_run_server, control, ports[1])
        try:
            while not (server.started and (ports[1] is None or control.started)):
                await core.clock.sleep(0.01)
            if core.settings.state_file is not None:
                write_state(core.settings.state_file, _state(core, address, recorded))
            task_status.started(address)
            if core.faults is not None:
                tasks.start_soon(core.faults.run)
            await pump.run()
        finally:
            if core.faults is not None:
                core.faults.lines.end_all()
            core.sockets.announce_shutdown(core.clock.now_ms())
            with anyio.CancelScope(shield=True):
                await core.clock.sleep(_FAREWELL_SECONDS)
            server.should_exit = control.should_exit = True


async def _run_server(server: uvicorn.Server, listening: socket.socket) -> None:
    # Cancelling uvicorn would leave its request tasks behind; it ends only by `should_exit`.
    with anyio.CancelScope(shield=True):
        await server.serve(sockets=[listening])


def _control_server(core: ExchangeCore) -> uvicorn.Server:
    """Serves nothing where there are no faults to control."""
    if core.faults is None:
        return _server(core, Starlette())
    return _server(core, Control(core.faults, core.market_clock.now_ms).application())


def _server(core: ExchangeCore, app: ASGIApp) -> uvicorn.Server:
    shared = core.settings.shared_clock
    speed = shared.speed if shared else 1
    return _Embedded(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="none",
            http="h11",
            ws=WireProtocol if core.faults is None else SingleFrameProtocol,
            ws_ping_interval=_PING_SECONDS / speed,
            ws_ping_timeout=_PONG_SECONDS / speed,
            ws_per_message_deflate=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


def application(core: ExchangeCore) -> ASGIApp:
    """All faces of one exchange, for any server to serve."""
    log = RequestLog(core.journal, core.clock)
    faces = Faces(
        streams=StreamFace(core).serve,
        ws_api=WsApiFace(core, log).serve,
        rest=RestFace(core, log),
        model=ModelGate(core.clock, core.settings.gate_answers),
        log=log,
    )
    return faces if core.faults is None else FaultWire(faces, core.faults, log)


@contextlib.contextmanager
def _control_socket(settings: ExchangeSettings) -> Iterator[socket.socket | None]:
    if settings.control_port is None:
        yield None
        return
    with _listen(settings.control_port) as listening:
        yield listening


def _listen(port: int) -> socket.socket:
    try:
        listening = socket.create_server((_HOST, port))
    except OSError as error:
        cause = os.strerror(error.errno or 0)
        raise PortTaken(f"cannot listen on {_HOST}:{port}: {cause}") from error
    # Accepted sockets inherit it; without it a reply of two writes waits for a delayed ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def data_order(settings: ExchangeSettings, now_ms: int) -> DataOrder:
    """What to play, as the settings say it."""
    return DataOrder(
        name="recorded" if settings.data is None else str(settings.data),
        seed=settings.seed,
        now_ms=now_ms,
        shifted=settings.shifted,
        only=settings.symbols,
        scenario=settings.scenario,
    )


def _planned_stop(core: ExchangeCore) -> int:
    """When the exchange ends: at its planned time, unless it ends before."""
    now_ms, planned_ms = core.market_clock.now_ms(), core.settings.stop_ms
    return now_ms if planned_ms is None else min(now_ms, planned_ms)


def _note_life(core: ExchangeCore, recorded: MarketSource, event: str) -> None:
    begins = event == "start"
    at_ms = core.settings.start_ms or core.market_clock.now_ms() if begins else _planned_stop(core)
    core.journal.write(
        LifeRow(
            t_ms=at_ms,
            event=event,
            seed=core.settings.seed,
            data_sha256=recorded.sha256,
        )
    )


def _state(core: ExchangeCore, address: ExchangeAddress, recorded: MarketSource) -> ExchangeState:
    journal: Path | None = core.settings.journal
    return ExchangeState(
        pid=os.getpid(),
        address=address,
        seed=core.settings.seed,
        data_id=recorded.data_id,
        data_sha256=recorded.sha256,
        journal=str(journal.resolve()) if journal is not None else "",
        clock=core.settings.shared_clock,
    )
