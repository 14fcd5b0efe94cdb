"""Bounded mailboxes with a stated overflow policy, and measured depth and age."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from livespot.contracts.base import Message
from livespot.contracts.errors import Transient
from livespot.contracts.ports import Clock
from livespot.runtime.bell import Bell, Latch

T = TypeVar("T")


class MailboxStats(Message, frozen=True):
    """Figures of one mailbox for panel and health actor; ages in market milliseconds."""

    name: str
    policy: str
    capacity: int
    depth: int
    high_water: int
    oldest_age_ms: int
    received: int
    dropped: int


class MailboxClosed(Transient):
    """The mailbox takes no more messages: its owner is shutting down."""


@dataclass(eq=False, slots=True)
class _Sender(Generic[T]):
    """Somebody who waits for room; `turn` says whether the message went in before the close."""

    message: T
    turn: asyncio.Future[bool]


class Mailbox(Generic[T]):
    """Policy `block`: a full mailbox makes senders wait, and no message is lost.

    `offer` never waits; it is for messages that may be lost, and refusals are counted. Messages are
    received in order, by a single consumer; there may be any number of senders.

    Senders that wait are served in the order in which they came. Whoever takes a message out puts
    the first sender's one in: the mailbox stays full while anybody waits, so nobody overtakes.
    """

    policy = "block"

    def __init__(self, name: str, capacity: int, clock: Clock) -> None:
        self.name = name
        self.capacity = capacity
        self._clock = clock
        self._items: deque[tuple[int, T]] = deque()
        self._in_hand: T | None = None
        self._taken_ms = 0
        self._seen_ms = clock.monotonic_ms()
        self._arrived = Bell()
        self._handed_to: Callable[[], bool] = _always_waits
        self._senders: deque[_Sender[T]] = deque()
        self._closed = False
        self._high_water = 0
        self._received = 0
        self._dropped = 0

    async def send(self, message: T) -> None:
        """Enqueue, or wait for room and a turn. Raises `MailboxClosed`.

        A sender that is cancelled in the moment of its turn has sent its message.
        """
        if len(self._items) < self.capacity or self._closed:
            self._append(message)
            return
        sender = _Sender(message, asyncio.get_running_loop().create_future())
        self._senders.append(sender)
        try:
            sent = await sender.turn
        finally:
            if sender.turn.cancelled() and sender in self._senders:
                self._senders.remove(sender)
        if not sent:
            raise self._refusal()

    @property
    def is_full(self) -> bool:
        """Whether a sender would have to wait now."""
        return len(self._items) >= self.capacity

    def offer(self, message: T) -> bool:
        """Enqueue if there is room; False, and counted, if not. Raises `MailboxClosed`."""
        if len(self._items) >= self.capacity:
            self._dropped += 1
            return False
        self._append(message)
        return True

    async def receive(self) -> T:
        """Wait for the oldest message. Raises `anyio.EndOfStream` once closed and empty."""
        self._in_hand = None
        while not self._items:
            if self._closed:
                raise anyio.EndOfStream
            await self._arrived.wait()
            self._seen_ms = self._clock.monotonic_ms()
        return self._take()

    async def receive_within(self, seconds: float | None) -> T | None:
        """Wait for the oldest message, at most this many seconds of market time; then return None.

        With `seconds` None, wait until a message or a `nudge` comes; a nudge gives None.

        Raises:
            anyio.EndOfStream: closed and empty.
        """
        self._in_hand = None
        if not self._items and not self._closed:
            if seconds is None:
                await self._arrived.wait()
            else:
                await self._arrived.wait_within(self._clock, seconds)
        self._seen_ms = self._clock.monotonic_ms()
        if self._items:
            return self._take()
        if self._closed:
            raise anyio.EndOfStream
        return None

    def receive_nowait(self) -> T | None:
        """Return the oldest message, or None when there is none."""
        self._in_hand = None
        self._seen_ms = self._clock.monotonic_ms()
        return self._take() if self._items else None

    def nudge(self) -> None:
        """Make a reader that waits in `receive_within` return None: a timer of its own is due."""
        self._arrived.ring()

    def unfinished(self) -> T | None:
        """Return, once, the last message taken if its reader has not come back for another.

        A restarted actor thus learns which message its failed predecessor was working on.
        """
        message, self._in_hand = self._in_hand, None
        return message

    @property
    def busy_ms(self) -> int:
        """How long the reader has been working on the last message; 0 while it waits."""
        return 0 if self._in_hand is None else self._clock.monotonic_ms() - self._taken_ms

    def read_for(self, waits: Callable[[], bool]) -> None:
        """Say that the reader passes messages on; `waits` tells whether their handler is idle."""
        self._handed_to = waits

    @property
    def is_worked_on(self) -> bool:
        """Whether the handler that the reader passes messages on to is at work."""
        return not self._handed_to()

    @property
    def unseen_ms(self) -> int:
        """How long ago the reader was last here; 0 while it waits."""
        return 0 if self._arrived.is_waited_at else self._clock.monotonic_ms() - self._seen_ms

    def close(self) -> None:
        """Refuse new messages; those inside can still be received."""
        self._closed = True
        self._arrived.ring()
        while (sender := self._next_sender()) is not None:
            sender.turn.set_result(False)

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            try:
                message = await self.receive()
            except anyio.EndOfStream:
                return
            yield message

    def stats(self) -> MailboxStats:
        oldest = self._clock.monotonic_ms() - self._items[0][0] if self._items else 0
        return MailboxStats(
            name=self.name,
            policy=self.policy,
            capacity=self.capacity,
            depth=len(self._items),
            high_water=self._high_water,
            oldest_age_ms=oldest,
            received=self._received,
            dropped=self._dropped,
        )

    def waiting(self) -> list[T]:
        """Return the messages inside, oldest first, without taking them."""
        return [message for _, message in self._items]

    def _append(self, message: T) -> None:
        if self._closed:
            raise self._refusal()
        self._items.append((self._clock.monotonic_ms(), message))
        self._received += 1
        self._high_water = max(self._high_water, len(self._items))
        self._arrived.ring()

    def _take(self) -> T:
        _, message = self._items.popleft()
        self._in_hand, self._taken_ms = message, self._clock.monotonic_ms()
        if self._senders:
            self._admit()
        return message

    def _admit(self) -> None:
        """Put in the message of the sender that has waited longest."""
        sender = self._next_sender()
        if sender is not None:
            self._append(sender.message)
            sender.turn.set_result(True)

    def _next_sender(self) -> _Sender[T] | None:
        """Take the first sender out of the line; one that was cancelled waits no more."""
        while self._senders:
            sender = self._senders.popleft()
            if not sender.turn.done():
                return sender
        return None

    def _refusal(self) -> MailboxClosed:
        return MailboxClosed(f"mailbox {self.name!r} is closed")


class ConflatingMailbox(Generic[T]):
    """Policy `conflate`: keeps only the latest message per key, so that a sender never waits.

    `put` is synchronous; `capacity` bounds the number of keys.
    """

    policy = "conflate"

    def __init__(self, name: str, capacity: int, clock: Clock) -> None:
        self.name = name
        self.capacity = capacity
        self._clock = clock
        self._latest: dict[Hashable, T] = {}
        self._arrived = Bell()
        self._oldest_ms = 0
        self._closed = False
        self._high_water = 0
        self._received = 0
        self._dropped = 0

    def put(self, key: Hashable, message: T) -> None:
        """Replace the message under this key.

        A new key beyond `capacity` is dropped and counted.
        """
        latest = self._latest
        if not latest:
            self._oldest_ms = self._clock.monotonic_ms()
            self._arrived.ring()
        elif key not in latest and len(latest) >= self.capacity:
            self._dropped += 1
            return
        latest[key] = message
        self._received += 1
        if len(latest) > self._high_water:
            self._high_water = len(latest)

    async def receive_all(self) -> list[T]:
        """Wait for a message, then take the latest of every key, oldest key first."""
        while not self._latest:
            if self._closed:
                raise anyio.EndOfStream
            await self._arrived.wait()
        taken = list(self._latest.values())
        self._latest.clear()
        return taken

    def close(self) -> None:
        self._closed = True
        self._arrived.ring()

    def stats(self) -> MailboxStats:
        return MailboxStats(
            name=self.name,
            policy=self.policy,
            capacity=self.capacity,
            depth=len(self._latest),
            high_water=self._high_water,
            oldest_age_ms=self._clock.monotonic_ms() - self._oldest_ms if self._latest else 0,
            received=self._received,
            dropped=self._dropped,
        )


class Reply(Generic[T]):
    """The answer to one question to an actor: set once, awaited once."""

    def __init__(self) -> None:
        self._done = Latch()
        self._values: list[T] = []
        self._error: Exception | None = None

    def answer(self, value: T) -> None:
        """Give the answer. A second answer is ignored: the asker has gone on."""
        if not self._done.is_set():
            self._values.append(value)
            self._done.set()

    def fail(self, error: Exception) -> None:
        """Make the asker's `wait` raise this error."""
        if not self._done.is_set():
            self._error = error
            self._done.set()

    async def wait(self) -> T:
        """Wait for the answer and return it; bound the wait by a deadline of the clock."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._values[0]


def _always_waits() -> bool:
    """The default: the reader passes nothing on, so no handler is ever at work."""
    return True
