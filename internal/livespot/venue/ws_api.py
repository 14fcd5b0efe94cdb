"""One WebSocket API connection: requests matched by id, and the account's events beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from livespot.contracts.errors import (
    LivespotError,
    NotSent,
    OutcomeUnknown,
    PayloadInvalid,
    Throttled,
    Unreachable,
)
from livespot.contracts.ports import Clock
from livespot.contracts.streams import UserEvent, UserEvents
from livespot.contracts.transport import Socket, SocketTransport
from livespot.contracts.venue import ServerClock
from livespot.venue.codec_info import rate_limits
from livespot.venue.key_state import KeyState
from livespot.venue.params import Params
from livespot.venue.refusals import HALVES_CODES, Answer, banned_ms, classify
from livespot.venue.signing import Signer, signed_params
from livespot.venue.sockets import open_socket
from livespot.venue.user_events import decode_user_event
from livespot.venue.weights import Priority, WeightBudget
from livespot.venue.wire import ABSENT, Wire, WireError, WireRateLimit, given, read

_HANDSHAKE_SECONDS = 5.0
_CONNECT_WEIGHT = 2
_SESSION_WEIGHT = 2
# A subscription trades nothing, so it may arrive as late as the exchange allows.
_SESSION_RECV_WINDOW_MS = 60_000
# Events wait here for the consumer; when this many wait, the consumer has stopped.
_MOST_EVENTS = 8192


class _Frame(Wire, frozen=True):
    """A reply (with a status) or an event."""

    id: int | str | None = None
    status: int = 0
    result: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    rate_limits: tuple[WireRateLimit, ...] = ()
    event: msgspec.Raw = ABSENT


class _RetryAt(Wire, frozen=True):
    retry_after: int = 0


_FRAME = msgspec.json.Decoder(_Frame)
_ERROR = msgspec.json.Decoder(WireError)
_RETRY_AT = msgspec.json.Decoder(_RetryAt)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketCall:
    """One request. It is a mutation when `mutation_id`, the client id it acts under, is set."""

    method: str
    params: Params
    weight: int
    priority: Priority
    mutation_id: str | None = None
    places_orders: bool = False


@dataclass(frozen=True, slots=True)
class SocketReply:
    """A result; or, when `failed`, the error body of a cancel-replace that succeeded by half."""

    body: bytes
    failed: bool


@dataclass(eq=False, slots=True)
class _Waiting:
    """A request in flight; `settled` is set when `frame` has arrived or the connection is gone."""

    settled: anyio.Event = field(default_factory=anyio.Event)
    frame: _Frame | None = None


class WsApiConnection:
    """Connect with `async with connection.open()`; `call` works inside the block.

    When the connection ends, every unanswered mutation is `OutcomeUnknown`. It does not reconnect
    by itself: open it again.
    """

    def __init__(
        self,
        *,
        transport: SocketTransport,
        url: str,
        clock: Clock,
        server_clock: ServerClock,
        signer: Signer,
        budget: WeightBudget,
    ) -> None:
        self.clock = clock
        self._transport = transport
        self._url = url
        self._server_clock = server_clock
        self._signer = signer
        self._budget = budget
        # Replaced when another adapter signs with the same key.
        self.key = KeyState(clock)
        self._socket: Socket | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._next_id = 1
        self._doubtful = False

    @property
    def connected(self) -> bool:
        return self._socket is not None

    @property
    def doubtful(self) -> bool:
        """Whether a request got no answer and nothing has arrived since: it may be half open."""
        return self._doubtful

    @asynccontextmanager
    async def open(self, *, user_events: bool = True) -> AsyncIterator[UserEvents]:
        """Connect, log on if the key allows it, and subscribe to the account's events.

        Raises:
            Unreachable, Throttled: no connection, or it was lost while the block ran.
            KeyRefused, Refused: the subscription was declined.
        """
        if self._socket is not None:
            raise RuntimeError("the connection is open already")
        if user_events:
            self.key.require_usable(mutation=False)
        self._budget.spend(_CONNECT_WEIGHT, Priority.QUERY)
        send, receive = anyio.create_memory_object_stream[UserEvent](_MOST_EVENTS)
        failure: LivespotError | None = None
        with send, receive:
            async with (
                open_socket(self._transport, self._url, self._budget) as socket,
                anyio.create_task_group() as tasks,
            ):
                self._socket, self._doubtful = socket, False
                events = _Events(receive)
                tasks.start_soon(self._read, socket, send, events)
                try:
                    if user_events:
                        await self._subscribe()
                    yield events
                except LivespotError as error:
                    # Raised after the task group, which would wrap it into an exception group.
                    failure = error
                finally:
                    self._hang_up()
                    tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def call(self, call: SocketCall, *, timeout_seconds: float) -> SocketReply:
        """Send one signed request once and wait for its reply.

        Raises:
            NotSent: there is no connection.
            OutcomeUnknown: a mutation without a definite answer.
            Unreachable: a read without an answer.
            Refused, Throttled: it definitely did not happen.
        """
        socket = self._socket
        if socket is None:
            raise NotSent("the WebSocket API is not connected")
        mutation = call.mutation_id is not None
        if call.method != "session.status":
            self.key.require_usable(mutation=mutation)
        window = self._budget.spend(call.weight, call.priority, places_orders=call.places_orders)
        if call.method != "session.status":
            self.key.take_turn(mutation=mutation)
        try:
            frame = await self._exchange(socket, call, timeout_seconds)
        except Unreachable as error:
            if call.mutation_id is None:
                raise
            raise OutcomeUnknown(call.mutation_id, str(error)) from error
        self._budget.observe_limits(rate_limits(frame.rate_limits), window)
        if frame.status == 200 and not given(frame.error):
            if call.method != "session.status":
                self.key.accepted(mutation=mutation)
            return SocketReply(bytes(frame.result), failed=False)
        return self._failed(frame, call)

    async def probe(self, *, timeout_seconds: float = 5.0) -> None:
        """Ask for the session's status; raises `Unreachable` when the server does not answer."""
        call = SocketCall(
            method="session.status", params={}, weight=_SESSION_WEIGHT, priority=Priority.QUERY
        )
        await self.call(call, timeout_seconds=timeout_seconds)

    async def _exchange(self, socket: Socket, call: SocketCall, timeout_seconds: float) -> _Frame:
        number, self._next_id = self._next_id, self._next_id + 1
        waiting = self._waiting[number] = _Waiting()
        request = {"id": number, "method": call.method, "params": self._signed(call)}
        try:
            with self.clock.fail_after(timeout_seconds):
                await socket.send(msgspec.json.encode(request).decode())
                await waiting.settled.wait()
        except TimeoutError as error:
            raise Unreachable(f"{call.method}: no reply in {timeout_seconds} s") from error
        finally:
            self._waiting.pop(number, None)
            # Also when the caller was cancelled before our own limit.
            self._doubtful = self._doubtful or waiting.frame is None
        if waiting.frame is None:
            raise Unreachable(f"{call.method}: the connection was lost before the reply")
        return waiting.frame

    def _signed(self, call: SocketCall) -> Params:
        if call.method == "session.status":
            return {}
        timestamp = self._server_clock.server_now_ms()
        return signed_params({**call.params, "timestamp": timestamp}, self._signer)

    def _failed(self, frame: _Frame, call: SocketCall) -> SocketReply:
        body = frame.error
        answer = _answer(frame.status, body, self._server_clock.server_now_ms())
        failure = classify(answer, mutation_id=call.mutation_id)
        self.key.note(failure, mutation=call.mutation_id is not None)
        if isinstance(failure, Throttled):
            self._budget.silence(failure)
        elif answer.code in HALVES_CODES and not isinstance(failure, OutcomeUnknown):
            return SocketReply(bytes(body), failed=True)
        raise failure

    async def _subscribe(self) -> None:
        """Subscribe within a session if the key allows one, otherwise by a signed request."""
        if self._signer.may_log_on:
            await self._session_call("session.logon")
            await self._session_call("userDataStream.subscribe")
        else:
            await self._session_call("userDataStream.subscribe.signature")

    async def _session_call(self, method: str) -> None:
        call = SocketCall(
            method=method,
            params={"recvWindow": _SESSION_RECV_WINDOW_MS},
            weight=_SESSION_WEIGHT,
            priority=Priority.QUERY,
        )
        await self.call(call, timeout_seconds=_HANDSHAKE_SECONDS)

    async def _read(
        self, socket: Socket, send: MemoryObjectSendStream[UserEvent], events: "_Events"
    ) -> None:
        """Read frames until the connection ends; never waits for the consumer of the events."""
        try:
            while True:
                frame = read(_FRAME, await socket.receive(), "WebSocket API frame")
                self._doubtful = False
                if given(frame.event):
                    self._take_event(frame.event, send)
                else:
                    self._take_reply(frame)
        except (Unreachable, PayloadInvalid) as error:
            events.lost = str(error)
        except anyio.WouldBlock:
            events.lost = "events were lost: nobody consumed them"
        finally:
            self._hang_up()
            send.close()

    def _take_event(self, event: msgspec.Raw, send: MemoryObjectSendStream[UserEvent]) -> None:
        decoded = decode_user_event(event, self.clock.now_ms())
        if decoded is not None:
            send.send_nowait(decoded)

    def _take_reply(self, frame: _Frame) -> None:
        waiting = self._waiting.get(frame.id) if isinstance(frame.id, int) else None
        if waiting is not None:
            waiting.frame = frame
            waiting.settled.set()
        elif frame.id is None and frame.status != 200:
            # Not an answer to a request: the session was revoked or the address banned.
            raise Unreachable(f"the server ended the session with {frame.status}")

    def _hang_up(self) -> None:
        self._socket = None
        for waiting in self._waiting.values():
            waiting.settled.set()


class _Events:
    """The `UserEvents` of one connection."""

    def __init__(self, receive: MemoryObjectReceiveStream[UserEvent]) -> None:
        self._receive = receive
        self.lost = "the connection was closed"

    async def next(self) -> UserEvent:
        try:
            return await self._receive.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError) as error:
            raise Unreachable(self.lost) from error


def _answer(status: int, body: msgspec.Raw, server_now_ms: int) -> Answer:
    """Read a failed reply. An unreadable error gives code 0 instead of an error."""
    try:
        error = read(_ERROR, body, "error reply")
    except PayloadInvalid:
        error = WireError(code=0)
    wait_ms = _retry_at_ms(error.data) - server_now_ms
    return Answer(
        status=status,
        code=error.code,
        message=error.msg,
        retry_after_ms=wait_ms if wait_ms > 0 else banned_ms(error.msg, server_now_ms),
    )


def _retry_at_ms(data: msgspec.Raw) -> int:
    """Return the server's epoch ms from which requests are accepted again; 0 when not stated."""
    if not given(data):
        return 0
    try:
        return read(_RETRY_AT, data, "retry time").retry_after
    except PayloadInvalid:
        return 0
