"""One market connection: subscriptions with acknowledged answers, and raw data frames."""

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
# The exchange allows five a second and counts our pongs too.
_MESSAGES_PER_SECOND = 4
_STREAMS_PER_MESSAGE = 200
_DATA_HEAD = b'{"stream":'
_OVERDUE = "a subscription was not answered in time"


class _Control(msgspec.Struct, frozen=True):
    """An answer to a request, told from data by having no stream."""

    stream: str | None = None
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: msgspec.Raw = ABSENT


_CONTROL = msgspec.json.Decoder(_Control)


@dataclass(frozen=True, slots=True)
class _Asked:
    streams: frozenset[str]
    adds: bool
    due_ms: int
    answered: anyio.Event = field(default_factory=anyio.Event)


class MarketStream:
    """A `MarketFeed`. `url` is the server without a path, as `wss://host:port`.

    Connecting costs no weight, but a banned address must not knock here either.
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
    """A `MarketConnection`. One task reads; others may subscribe meanwhile."""

    def __init__(self, socket: Socket, clock: Clock) -> None:
        self._socket = socket
        self._clock = clock
        self._wanted: frozenset[str] = frozenset()
        self._acknowledged: frozenset[str] = frozenset()
        self._asked: dict[int, _Asked] = {}
        self._sent_ms: deque[int] = deque(maxlen=_MESSAGES_PER_SECOND)
        self._next_id = 1
        self._reader: asyncio.Task[object] | None = None

    @property
    def subscribed(self) -> frozenset[str]:
        return self._acknowledged

    @property
    def wanted(self) -> frozenset[str]:
        """Asked for, whether or not the exchange has answered yet."""
        return self._wanted

    async def subscribe(self, streams: frozenset[str]) -> None:
        """Streams already asked for are not asked for again.

        Raises:
            LocalRefusal: the connection would carry too many streams.
            Unreachable: the connection is gone.
        """
        new = streams - self._wanted
        if len(self._wanted) + len(new) > _MOST_STREAMS:
            raise LocalRefusal(f"a connection carries at most {_MOST_STREAMS} streams")
        self._wanted |= new
        await self._ask("SUBSCRIBE", new, adds=True)

    async def unsubscribe(self, streams: frozenset[str]) -> None:
        known = streams & self._wanted
        self._wanted -= known
        await self._ask("UNSUBSCRIBE", known, adds=False)

    async def knock(self) -> None:
        """Ask what is subscribed, which changes nothing, and return once that was answered.

        Raises:
            Unreachable: the connection is gone.
        """
        asked = await self._send("LIST_SUBSCRIPTIONS", frozenset(), adds=False)
        await asked.answered.wait()

    async def receive(self) -> bytes:
        """The next data frame; answers to our requests are taken note of on the way.

        Raises:
            Unreachable: the connection is gone, or an answer is overdue.
            Refused: the exchange declined a subscription.
        """
        while True:
            raw = await self._receive_in_time()
            if raw.startswith(_DATA_HEAD) or not self._took(raw):
                return raw

    def receive_nowait(self) -> bytes | None:
        """A data frame that is here already."""
        while (raw := self._socket.receive_nowait()) is not None:
            if raw.startswith(_DATA_HEAD) or not self._took(raw):
                return raw
        self._require_answers()
        return None

    async def _receive_in_time(self) -> bytes:
        self._require_answers()
        # Without a limit of its own: each question rings once its answer is overdue. A scope here
        # would cost each frame more than its decoding, so the task itself is interrupted.
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

    def _look_up(self) -> None:
        """Interrupt the wait for a frame that is to be waited for no longer."""
        reader = self._reader
        if reader is not None and self._overdue:
            # That it is nobody's any more tells whoever is interrupted that it was from here.
            self._reader = None
            reader.cancel()

    @property
    def _overdue(self) -> bool:
        """Whether an answer should have come by now."""
        if not self._asked:
            return False
        now_ms = self._clock.monotonic_ms()
        return any(asked.due_ms <= now_ms for asked in self._asked.values())

    def _require_answers(self) -> None:
        if self._overdue:
            raise Unreachable(_OVERDUE)

    async def _ask(self, method: str, streams: Iterable[str], *, adds: bool) -> None:
        ordered = sorted(streams)
        for start in range(0, len(ordered), _STREAMS_PER_MESSAGE):
            part = ordered[start : start + _STREAMS_PER_MESSAGE]
            await self._send(method, frozenset(part), adds=adds)

    async def _send(self, method: str, streams: frozenset[str], *, adds: bool) -> _Asked:
        await self._pace()
        number, self._next_id = self._next_id, self._next_id + 1
        asked = _Asked(streams, adds, self._clock.monotonic_ms() + _ANSWER_MS)
        self._asked[number] = asked
        # Not before it: nobody rings a second time.
        self._clock.alarm((_ANSWER_MS + 1) / 1000, self._look_up)
        params = {"params": sorted(streams)} if streams else {}
        request = {"method": method, **params, "id": number}
        await self._socket.send(msgspec.json.encode(request).decode())
        return asked

    async def _pace(self) -> None:
        """Wait until another message fits into the exchange's limit, then count it."""
        while len(self._sent_ms) == _MESSAGES_PER_SECOND:
            early_ms = self._sent_ms[0] + 1000 - self._clock.monotonic_ms()
            if early_ms <= 0:
                break
            await self._clock.sleep(early_ms / 1000)
        self._sent_ms.append(self._clock.monotonic_ms())

    def _took(self, raw: bytes) -> bool:
        """Whether the frame was an answer; raises `Refused` when it declines."""
        try:
            control = read(_CONTROL, raw, "control answer")
            refusal = read(_CONTROL, control.error, "refusal") if given(control.error) else control
        except PayloadInvalid:
            # No answer to us, whatever it is: who reads the data counts what cannot be read.
            return False
        if control.stream is not None:
            return False
        if refusal.code is not None:
            raise Refused(refusal.code, refusal.msg)
        asked = self._asked.pop(control.id, None) if isinstance(control.id, int) else None
        if asked is not None:
            asked.answered.set()
        if asked is not None and asked.adds:
            # Those dropped again before the answer came do not return.
            self._acknowledged |= asked.streams & self._wanted
        elif asked is not None:
            self._acknowledged -= asked.streams
        return True
