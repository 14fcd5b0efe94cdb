"""The exchange's clock, measured against ours."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median_low

import anyio

from livespot.contracts.errors import Unreachable
from livespot.contracts.ports import Clock

_SAMPLES = 5
_MOST_ATTEMPTS = 8
_FEWEST = 3
_MOST_RTT_MS = 500
_MOST_LOST = 2
# Two measurements that differ by more are not both right, or the machine slept between them.
_CONTRADICTION_MS = 5_000


@dataclass(frozen=True, slots=True)
class _Sample:
    """What one answer shows: the exchange's time less the wall clock's and less the steady one's.

    `rtt_ms` is the round trip; half of it is deducted already.
    """

    offset_ms: int
    steady_offset_ms: int
    rtt_ms: int


class TimeSync:
    """A `ServerClock`: the median of five offsets, each with half its round trip deducted."""

    def __init__(
        self,
        clock: Clock,
        read_server_ms: Callable[[], Awaitable[int]],
        *,
        max_rtt_ms: int = _MOST_RTT_MS,
    ) -> None:
        self._clock = clock
        self._read_server_ms = read_server_ms
        self._max_rtt_ms = max_rtt_ms
        self._lock = anyio.Lock()
        self._offset_ms = 0
        self._steady_offset_ms = clock.now_ms() - clock.monotonic_ms()
        self._moved_ms = 0
        self._rounds = 0
        self._contradicted = False

    @property
    def offset_ms(self) -> int:
        """Server time minus local time."""
        return self._offset_ms

    @property
    def synced(self) -> bool:
        """Whether the offset has been measured at least once."""
        return self._rounds > 0

    def server_now_ms(self) -> int:
        return self._clock.now_ms() + self._offset_ms

    def steady_now_ms(self) -> int:
        """See `ServerClock.steady_now_ms`."""
        return self._clock.monotonic_ms() + self._steady_offset_ms

    def certain_now_ms(self) -> int | None:
        """See `ServerClock.certain_now_ms`."""
        return None if not self.synced or self._contradicted else self.steady_now_ms()

    def presume(self, offset_ms: int) -> None:
        """Use an earlier run's offset until the first measurement; ignored after one."""
        if not self.synced:
            self._steady_offset_ms += offset_ms - self._offset_ms
            self._offset_ms = offset_ms

    async def resync(self) -> int:
        """Measure the offset again; concurrent callers share one measurement.

        Returns by how many milliseconds the offset moved, never negative; 0 for the first
        measurement.

        Raises:
            Unreachable: too few readings came back fast enough; the offset stays as it was.
            Throttled: the exchange asked for silence.
        """
        seen = self._rounds
        async with self._lock:
            if self._rounds == seen:
                samples = await self._samples()
                self._learn(
                    median_low([sample.offset_ms for sample in samples]),
                    median_low([sample.steady_offset_ms for sample in samples]),
                )
            return self._moved_ms

    async def glance(self) -> int:
        """Return the offset by a single reading, however slow, without keeping it.

        It may be wrong by half the round trip.

        Raises:
            Unreachable: no answer came.
            Throttled: the exchange asked for silence.
        """
        return (await self._asked()).offset_ms

    def _learn(self, offset_ms: int, steady_offset_ms: int) -> None:
        self._moved_ms = abs(offset_ms - self._offset_ms) if self.synced else 0
        apart_ms = abs(steady_offset_ms - self._steady_offset_ms) if self.synced else 0
        self._contradicted = apart_ms > _CONTRADICTION_MS
        self._offset_ms, self._steady_offset_ms = offset_ms, steady_offset_ms
        self._rounds += 1

    async def _samples(self) -> list[_Sample]:
        found: list[_Sample] = []
        lost = 0
        for _ in range(_MOST_ATTEMPTS):
            try:
                sample = await self._asked()
            except Unreachable:
                lost += 1
                if lost > _MOST_LOST:
                    raise
                continue
            # An answer that took too long says nothing.
            if sample.rtt_ms <= self._max_rtt_ms:
                found.append(sample)
            if len(found) == _SAMPLES:
                break
        if len(found) < _FEWEST:
            raise Unreachable(
                f"the exchange's clock cannot be read: {len(found)} of {_MOST_ATTEMPTS} answers "
                f"within {self._max_rtt_ms} ms"
            )
        return found

    async def _asked(self) -> _Sample:
        """Take one reading of the exchange's clock."""
        before_ms = self._clock.monotonic_ms()
        server_ms = await self._read_server_ms()
        now_ms = self._clock.now_ms()
        after_ms = self._clock.monotonic_ms()
        rtt_ms = after_ms - before_ms
        server_ms += rtt_ms // 2
        return _Sample(server_ms - now_ms, server_ms - after_ms, rtt_ms)
