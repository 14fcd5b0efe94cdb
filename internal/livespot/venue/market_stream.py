"""One market connection: acknowledged subscriptions, and raw data frames."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec

from livespot.contracts.errors import LocalRefusal, PayloadInvalid, Refused, Unreachable
from livespot.contracts.ports import Clock
from livespot.contracts.streams import MarketConnection
from livespot.contracts.transport import Socket, SocketTransport
from livespot.venue.sockets import open_socket
from livespot.venue.weights import WeightBudget
from livespot.venue.wire import ABSENT, given, read

_ANSWER_MS = 5000
_MOST_STREAMS = 1024
# The exchange allows five messages a second, and our pongs count.
_MESSAGES_PER_SECOND = 4
_STREAMS_PER_MESSAGE = 200
_DATA_HEAD = b'{"stream":'
_OVERDUE = "a subscription was not answered in time"


class _Control(msgspec.Struct, frozen=True):
    """An answer to one of our requests; unlike a data frame it has no stream."""

    stream: str | None = None
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: msgspec.Raw = ABSENT


_CONTROL = msgspec.json.Decoder(_Control)


@dataclass(frozen=True, slots=True)
class _Request:
    streams: frozenset[str]
    adds: bool
    due_ms: int
    answered: anyio.Event = field(default_factory=anyio.Event)


class MarketStream:
    """A `MarketFeed`. `url` is the server without a path, such as `wss://host:port`.

    Connecting costs no request weight, but while the address is banned no connection is tried.
    """

    def __init__(
        self,
        transport: SocketTransport,
        url: str,
        clock: Clock,
        budget: WeightBudget | None = None,
    ) -> None:
        self._transport = transport
        self._budget = budget
        self._url = f"{url.rstrip('/')}/stream"
        self._clock = clock

    def connect(self) -> AbstractAsyncContextManager[MarketConnection]:
        return self._connect()

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[MarketConnection]:
        async with open_socket(self._transport, self._url, self._budget) as socket:
            yield OpenMarketStream(socket, self._clock)


class OpenMarketStream:
    """A `MarketConnection`. One task reads; others may subscribe at the same time."""

    def __init__(self, socket: Socket, clock: Clock) -> None:
        self._socket = socket
        self._clock = clock
        self._wanted: frozenset[str] = frozenset()
        self._acknowledged: frozenset[str] = frozenset()
        self._unanswered: dict[int, _Request] = {}
        self._sent_ms: deque[int] = deque(maxlen=_MESSAGES_PER_SECOND)
        self._next_id = 1
        self._reader: asyncio.Task[object] | None = None

    @property
    def subscribed(self) -> frozenset[str]:
        return self._acknowledged

    @property
    def wanted(self) -> frozenset[str]:
        """The streams asked for, whether or not the exchange has acknowledged them yet."""
        return self._wanted

    async def subscribe(self, streams: frozenset[str]) -> None:
        """Ask for streams; those asked for before are left out.

        Raises:
            LocalRefusal: the connection would carry too many streams.
            Unreachable: the connection is gone.
        """
        new = streams - self._wanted
        if len(self._wanted) + len(new) > _MOST_STREAMS:
            raise LocalRefusal(f"a connection carries at most {_MOST_STREAMS} streams")
        self._wanted |= new
        await self._request("SUBSCRIBE", new, adds=True)

    async def unsubscribe(self, streams: frozenset[str]) -> None:
        known = streams & self._wanted
        self._wanted -= known
        await self._request("UNSUBSCRIBE", known, adds=False)

    async def knock(self) -> None:
        """Ask the exchange to list the subscriptions, and return once it has answered.

        It serves as a sign of life and changes nothing. Another task must be reading meanwhile, and
        the caller must bound the wait: on a connection that is lost after the request no answer
        comes.

        Raises:
            Unreachable: the connection was gone before the request.
        """
        asked = await self._send("LIST_SUBSCRIPTIONS", frozenset(), adds=False)
        await asked.answered.wait()

    async def receive(self) -> bytes:
        """Return the next data frame; answers to our requests are processed on the way.

        Raises:
            Unreachable: the connection is gone, or an answer is overdue.
            Refused: the exchange declined a subscription.
        """
        while True:
            raw = await self._receive_in_time()
            if raw.startswith(_DATA_HEAD) or not self._process_answer(raw):
                return raw

    def receive_nowait(self) -> bytes | None:
        """Return a data frame that has arrived already, or None."""
        while (raw := self._socket.receive_nowait()) is not None:
            if raw.startswith(_DATA_HEAD) or not self._process_answer(raw):
                return raw
        self._require_answers()
        return None

    async def _receive_in_time(self) -> bytes:
        self._require_answers()
        # No deadline scope per frame, which would cost more than decoding the frame. Instead each
        # request sets an alarm that interrupts this task when its answer is overdue.
        reader = self._reader = asyncio.current_task()
        try:
            return await self._socket.receive()
        except asyncio.CancelledError:
            if reader is None or self._reader is reader:
                raise
            reader.uncancel()
            raise Unreachable(_OVERDUE) from None
        finally:
            self._reader = None

    def _interrupt_if_overdue(self) -> None:
        """Interrupt the waiting reader when an answer is overdue."""
        reader = self._reader
        if reader is not None and self._overdue:
            # Cleared first: this tells the reader that the cancellation came from here.
            self._reader = None
            reader.cancel()

    @property
    def _overdue(self) -> bool:
        """Whether an answer is overdue."""
        if not self._unanswered:
            return False
        now_ms = self._clock.monotonic_ms()
        return any(asked.due_ms <= now_ms for asked in self._unanswered.values())

    def _require_answers(self) -> None:
        if self._overdue:
            raise Unreachable(_OVERDUE)

    async def _request(self, method: str, streams: Iterable[str], *, adds: bool) -> None:
        ordered = sorted(streams)
        for start in range(0, len(ordered), _STREAMS_PER_MESSAGE):
            part = ordered[start : start + _STREAMS_PER_MESSAGE]
            await self._send(method, frozenset(part), adds=adds)

    async def _send(self, method: str, streams: frozenset[str], *, adds: bool) -> _Request:
        await self._pace()
        number, self._next_id = self._next_id, self._next_id + 1
        asked = _Request(streams, adds, self._clock.monotonic_ms() + _ANSWER_MS)
        self._unanswered[number] = asked
        # One millisecond later than due, since the alarm rings only once and must find it overdue.
        self._clock.alarm((_ANSWER_MS + 1) / 1000, self._interrupt_if_overdue)
        params = {"params": sorted(streams)} if streams else {}
        request = {"method": method, **params, "id": number}
        await self._socket.send(msgspec.json.encode(request).decode())
        return asked

    async def _pace(self) -> None:
        """Wait until the exchange's limit admits another message, then count it."""
        while len(self._sent_ms) == _MESSAGES_PER_SECOND:
            early_ms = self._sent_ms[0] + 1000 - self._clock.monotonic_ms()
            if early_ms <= 0:
                break
            await self._clock.sleep(early_ms / 1000)
        self._sent_ms.append(self._clock.monotonic_ms())

    def _process_answer(self, raw: bytes) -> bool:
        """Whether the frame was an answer to a request. Raises `Refused` when it declines one."""
        try:
            control = read(_CONTROL, raw, "control answer")
            refusal = read(_CONTROL, control.error, "refusal") if given(control.error) else control
        except PayloadInvalid:
            # Not an answer. The caller hands it on as data, where unreadable frames are counted.
            return False
        if control.stream is not None:
            return False
        if refusal.code is not None:
            raise Refused(refusal.code, refusal.msg)
        asked = self._unanswered.pop(control.id, None) if isinstance(control.id, int) else None
        if asked is not None:
            asked.answered.set()
        if asked is not None and asked.adds:
            # Streams that were unsubscribed before this answer came stay unsubscribed.
            self._acknowledged |= asked.streams & self._wanted
        elif asked is not None:
            self._acknowledged -= asked.streams
        return True
