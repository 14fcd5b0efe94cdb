"""Tracks whether the exchange accepts our key, and paces retries while it does not."""

from collections.abc import Callable
from dataclasses import dataclass

from livespot.contracts.errors import KeyRefused, LivespotError, Refused
from livespot.contracts.ports import Clock


@dataclass(frozen=True, slots=True)
class _Pace:
    """A growing retry interval: `first_ms`, times `growth` for each refusal, at most `cap_ms`."""

    first_ms: int
    growth: int
    cap_ms: int

    def after(self, refusals: int) -> int:
        return min(self.cap_ms, self.first_ms * int(self.growth ** min(refusals - 1, 16)))


_READS = _Pace(2_000, 2, 60_000)
_MUTATIONS = _Pace(5_000, 3, 300_000)


@dataclass(slots=True)
class _Lane:
    pace: _Pace
    refusals: int = 0
    next_ms: int = 0

    def refuse(self, now_ms: int) -> None:
        self.refusals += 1
        self.next_ms = now_ms + self.pace.after(self.refusals)

    def forgive(self) -> None:
        self.refusals = self.next_ms = 0


class KeyState:
    """Shared by everything that signs with one key. Synchronous.

    After a refused read, single reads are let through at growing intervals until one is accepted;
    no mutation is sent meanwhile. When reads work and only mutations are refused, the key lacks a
    right: then single mutations are let through at growing intervals.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reads = _Lane(_READS)
        self._mutations = _Lane(_MUTATIONS)
        self._rejection: KeyRefused | None = None
        self._listener: Callable[[], None] = _no_listener

    @property
    def rejection(self) -> KeyRefused | None:
        """The refusal still in force; None while the key works as far as we know."""
        return self._rejection

    def when_changed(self, told: Callable[[], None]) -> None:
        """Call `told` when a refusal begins and when it is lifted; replaces an earlier listener."""
        self._listener = told

    def require_usable(self, *, mutation: bool) -> None:
        """Raise `KeyRefused` when it is too early for a request of this kind."""
        lane = self._lane(mutation=mutation)
        waits = lane.refusals > 0 and self._clock.monotonic_ms() < lane.next_ms
        if waits or (mutation and self._reads.refusals > 0):
            raise self._not_yet()

    def take_turn(self, *, mutation: bool) -> None:
        """Make concurrent requests wait for the outcome of the one that is about to be sent.

        Call it when nothing can hold the request back any more: a turn is not given back.
        """
        lane = self._lane(mutation=mutation)
        if lane.refusals > 0:
            lane.next_ms = self._clock.monotonic_ms() + lane.pace.after(lane.refusals)

    def _lane(self, *, mutation: bool) -> _Lane:
        return self._mutations if mutation else self._reads

    def _not_yet(self) -> KeyRefused:
        code = self._rejection.code if self._rejection is not None else 0
        return KeyRefused(code, "the exchange rejects the key: not asked again yet", http_status=0)

    def note(self, failure: LivespotError | None, *, mutation: bool) -> None:
        """Record the outcome of a signed request: its error, or None.

        Lost answers change nothing.
        """
        if isinstance(failure, KeyRefused):
            self.refused(failure, mutation=mutation)
        elif failure is None or isinstance(failure, Refused):
            self.accepted(mutation=mutation)

    def refused(self, error: KeyRefused, *, mutation: bool) -> None:
        """Record that the exchange refused the key."""
        self._lane(mutation=mutation).refuse(self._clock.monotonic_ms())
        self._set_rejection(error)

    def accepted(self, *, mutation: bool) -> None:
        """Record that the exchange accepted the key, whatever it said about the request itself."""
        if mutation or self._reads.refusals > 0:
            # An accepted read after a refused one shows that the key as a whole works again.
            self._mutations.forgive()
        self._reads.forgive()
        self._set_rejection(None)

    def _set_rejection(self, rejection: KeyRefused | None) -> None:
        changed = (rejection is None) is not (self._rejection is None)
        self._rejection = rejection
        if changed:
            self._listener()


def _no_listener() -> None:
    """Nobody listens yet."""
