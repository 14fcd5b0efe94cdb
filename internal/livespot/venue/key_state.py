"""Whether the exchange takes our key at present; a rejected one is not tried without end."""

from collections.abc import Callable
from dataclasses import dataclass

from livespot.contracts.errors import KeyRefused, LivespotError, Refused
from livespot.contracts.ports import Clock


@dataclass(frozen=True, slots=True)
class _Pace:
    """Milliseconds between tries: the first, how it grows, and where it stops."""

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

    After a refusal single reads go out at growing intervals and find out when the key works again;
    until then no mutation leaves. Where reads work and only mutations are refused, a right is
    missing: then mutations are what is tried at intervals.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reads = _Lane(_READS)
        self._mutations = _Lane(_MUTATIONS)
        self._rejection: KeyRefused | None = None
        self._told: Callable[[], None] = _nobody

    @property
    def rejection(self) -> KeyRefused | None:
        """The refusal that still stands; None while the key works as far as we know."""
        return self._rejection

    def when_changed(self, told: Callable[[], None]) -> None:
        """Call `told` when a refusal begins to stand and when it is lifted; the latest listener."""
        self._told = told

    def require_usable(self, *, mutation: bool) -> None:
        """Raises `KeyRefused`, without a byte sent, when this request has to wait its turn."""
        now = self._clock.monotonic_ms()
        lane = self._mutations if mutation else self._reads
        waits = lane.refusals > 0 and now < lane.next_ms
        if waits or (mutation and self._reads.refusals > 0):
            raise self._not_yet()
        if lane.refusals > 0:
            # Whoever asks beside this one waits for its answer.
            lane.next_ms = now + lane.pace.after(lane.refusals)

    def require_room(self) -> None:
        """Whether a read may ask now, without taking its turn; raises `KeyRefused`."""
        if self._reads.refusals > 0 and self._clock.monotonic_ms() < self._reads.next_ms:
            raise self._not_yet()

    def _not_yet(self) -> KeyRefused:
        code = self._rejection.code if self._rejection is not None else 0
        return KeyRefused(code, "the exchange rejects the key: not asked again yet", http_status=0)

    def note(self, failure: LivespotError | None, *, mutation: bool) -> None:
        """What a signed request came to; None for a success. Lost answers say nothing."""
        if isinstance(failure, KeyRefused):
            self.refused(failure, mutation=mutation)
        elif failure is None or isinstance(failure, Refused):
            self.accepted(mutation=mutation)

    def refused(self, error: KeyRefused, *, mutation: bool) -> None:
        """The exchange said no to the key."""
        (self._mutations if mutation else self._reads).refuse(self._clock.monotonic_ms())
        self._stands(error)

    def accepted(self, *, mutation: bool) -> None:
        """The exchange took the key, whatever it answered to the request."""
        if mutation or self._reads.refusals > 0:
            # The key as a whole was refused before: a read shows that it is a good one again.
            self._mutations.forgive()
        self._reads.forgive()
        self._stands(None)

    def _stands(self, rejection: KeyRefused | None) -> None:
        changed = (rejection is None) is not (self._rejection is None)
        self._rejection = rejection
        if changed:
            self._told()


def _nobody() -> None:
    """Nobody listens yet."""
