"""Records live public quotes and trades: one reader, one bounded queue, one writer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from livespot.contracts.errors import LivespotError, PayloadInvalid, Transient
from livespot.contracts.market import AggTrade, BookTicker
from livespot.contracts.ports import Clock
from livespot.contracts.settings import VenueSettings
from livespot.contracts.streams import MarketConnection
from livespot.runtime.clock import SystemClock
from livespot.runtime.end_signals import ended_by_signals
from livespot.runtime.entropy import SystemEntropy
from livespot.runtime.reconnecting import RememberedPauses
from livespot.runtime.set_import import grid_of
from livespot.runtime.set_manifest import Gap, require_fresh
from livespot.runtime.set_tape import Concluded, Grid, TapeWriter, begin_tape, conclude
from livespot.venue.caller import Call, RestCaller
from livespot.venue.frames import book_stream, decode_frame, trade_stream
from livespot.venue.http_client import HttpxTransport
from livespot.venue.market_stream import MarketStream
from livespot.venue.reconnect import ReconnectPolicy
from livespot.venue.sockets import WebsocketsTransport
from livespot.venue.weights import Priority

_QUEUE = 20_000
_TELL_SECONDS = 10.0
_LOST = "the connection was lost"
_FULL = "the queue was full"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTold:
    """The progress of a recording."""

    rows: int
    files: int
    waiting: int
    dropped: int
    losses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOrder:
    """What to record. `span_ms` None means until a signal; `queue` is a number of frames."""

    venue: VenueSettings
    symbols: tuple[str, ...]
    into: Path
    rotate_ms: int
    span_ms: int | None
    tell: Callable[[CaptureTold], None]
    queue: int = _QUEUE


@dataclass(slots=True, kw_only=True)
class _Course:
    """State shared by the tasks of one recording.

    `lost_ms` and `full_ms` are open gaps, 0 is none.
    """

    writer: TapeWriter
    now_ms: Callable[[], int]
    heard_ms: int
    lost_ms: int = 0
    full_ms: int = 0
    dropped: int = 0
    losses: int = 0
    unreadable: int = 0
    failure: LivespotError | None = None
    over: anyio.Event = field(default_factory=anyio.Event)


_Frame = tuple[bytes, int]


async def capture_set(order: CaptureOrder) -> Concluded:
    """Record until the span is over or a signal comes, then make a data set of it.

    Raises:
        PreflightFailed: the directory is in use, or no trade arrived.
        Transient: the exchange's rules could not be read at the start.
        Refused: the exchange declined a symbol or a stream.
    """
    clock = SystemClock()
    async with HttpxTransport(clock) as http:
        caller = RestCaller(transport=http, base_url=order.venue.rest_url, clock=clock)
        rules = [await _rule(caller, symbol) for symbol in order.symbols]
        await caller.server_clock.resync()
        now_ms = caller.server_clock.server_now_ms
        require_fresh(order.into)
        writer = begin_tape(
            order.into,
            url=order.venue.ws_url,
            rules=rules,
            grids={str(rule["symbol"]): _grid(rule) for rule in rules},
            frame=(now_ms(), order.rotate_ms),
        )
        stream = MarketStream(WebsocketsTransport(clock), order.venue.ws_url, clock, caller.budget)
        course = _Course(writer=writer, now_ms=now_ms, heard_ms=now_ms())
        # A second signal must not cut short what makes a data set of the recorded rows.
        with ended_by_signals(lambda _name: course.over.set()):
            await _record(order, stream, clock, course)
            if course.failure is not None:
                raise course.failure
            return conclude(order.into)


async def _record(order: CaptureOrder, stream: MarketStream, clock: Clock, course: _Course) -> None:
    to_writer, frames = anyio.create_memory_object_stream[_Frame](order.queue)
    try:
        async with anyio.create_task_group() as writing, frames:
            writing.start_soon(_write, frames, course)
            async with anyio.create_task_group() as tasks, to_writer:
                tasks.start_soon(_listen, order, stream, clock, course, to_writer)
                tasks.start_soon(_tell, order, clock, course, frames)
                with clock.move_on_after(None if order.span_ms is None else order.span_ms / 1000):
                    await course.over.wait()
                tasks.cancel_scope.cancel()
    finally:
        _close(course)


def _close(course: _Course) -> None:
    """Note the gaps that are still open, then close the files."""
    at_ms = course.now_ms()
    for from_ms, cause in ((course.lost_ms, _LOST), (course.full_ms, _FULL)):
        if from_ms:
            course.writer.note_gap(Gap(from_ms=from_ms, to_ms=at_ms, cause=cause))
    course.writer.note_unreadable(course.unreadable)
    course.writer.close()


async def _rule(caller: RestCaller, symbol: str) -> dict[str, Any]:
    call = Call(
        method="GET",
        path="/api/v3/exchangeInfo",
        params={"symbol": symbol},
        weight=20,
        priority=Priority.QUERY,
    )
    body = await caller.read(call)
    try:
        rows = msgspec.json.decode(body, type=dict[str, Any])["symbols"]
        return next(row for row in rows if row["symbol"] == symbol)
    except (msgspec.DecodeError, KeyError, TypeError, StopIteration) as error:
        raise PayloadInvalid(f"exchangeInfo does not tell of {symbol!r}") from error


def _grid(rule: dict[str, Any]) -> Grid:
    tick, step = grid_of(rule)
    return Grid(tick_size=tick, step_size=step)


async def _listen(
    order: CaptureOrder,
    stream: MarketStream,
    clock: Clock,
    course: _Course,
    to_writer: MemoryObjectSendStream[_Frame],
) -> None:
    """Receive until cancelled, reconnecting as often as needed."""
    wanted = frozenset(
        name for symbol in order.symbols for name in (book_stream(symbol), trade_stream(symbol))
    )
    pauses = RememberedPauses(ReconnectPolicy(), SystemEntropy())
    try:
        while True:
            opened_ms = clock.monotonic_ms()
            try:
                async with stream.connect() as connection:
                    await connection.subscribe(wanted)
                    await _hear(connection, course, to_writer)
            except Transient as error:
                course.losses += 1
                course.lost_ms = course.lost_ms or course.heard_ms
                lived_ms = clock.monotonic_ms() - opened_ms
                await clock.sleep(pauses.seconds(lived_ms=lived_ms, cause=error))
    except LivespotError as error:
        course.failure = error
        course.over.set()


async def _hear(
    connection: MarketConnection, course: _Course, to_writer: MemoryObjectSendStream[_Frame]
) -> None:
    while True:
        raw = await connection.receive()
        course.heard_ms = at_ms = course.now_ms()
        if course.lost_ms:
            gap = Gap(from_ms=course.lost_ms, to_ms=at_ms, cause=_LOST)
            course.writer.note_gap(gap)
            course.lost_ms = 0
        try:
            to_writer.send_nowait((raw, at_ms))
        except anyio.WouldBlock:
            # Waiting would move the loss into the exchange's own queue, and then get us
            # disconnected.
            course.dropped += 1
            course.full_ms = course.full_ms or at_ms
            await anyio.lowlevel.checkpoint()
            continue
        if course.full_ms:
            course.writer.note_gap(Gap(from_ms=course.full_ms, to_ms=at_ms, cause=_FULL))
            course.full_ms = 0


async def _write(frames: MemoryObjectReceiveStream[_Frame], course: _Course) -> None:
    async for raw, at_ms in frames:
        try:
            message = decode_frame(raw, at_ms)
        except PayloadInvalid:
            course.unreadable += 1
            continue
        if isinstance(message, BookTicker | AggTrade):
            course.writer.put(message, at_ms)


async def _tell(
    order: CaptureOrder,
    clock: Clock,
    course: _Course,
    frames: MemoryObjectReceiveStream[_Frame],
) -> None:
    while True:
        await clock.sleep(_TELL_SECONDS)
        course.writer.flush()
        order.tell(
            CaptureTold(
                rows=course.writer.rows,
                files=course.writer.files,
                waiting=frames.statistics().current_buffer_used,
                dropped=course.dropped,
                losses=course.losses,
            )
        )
