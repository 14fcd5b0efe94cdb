"""The exchange's clock, measured against ours."""

from collections.abc import Awaitable, Callable
from statistics import median_low

import anyio

from livespot.contracts.errors import Unreachable
from livespot.contracts.ports import Clock

_SAMPLES = 5
_MOST_ATTEMPTS = 8
_FEWEST = 3
_MOST_RTT_MS = 500
_MOST_LOST = 2


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
        self._moved_ms = 0
        self._rounds = 0

    @property
    def offset_ms(self) -> int:
        """Server time minus local time."""
        return self._offset_ms

    @property
    def synced(self) -> bool:
        """Whether the offset was ever measured."""
        return self._rounds > 0

    def server_now_ms(self) -> int:
        return self._clock.now_ms() + self._offset_ms

    def presume(self, offset_ms: int) -> None:
        """Go by an earlier run's offset until the first measurement; later ones know better."""
        if not self.synced:
            self._offset_ms = offset_ms

    async def resync(self) -> int:
        """Measure again; callers that arrive meanwhile share the result.

        Returns how far the offset moved, never negative; 0 for the first measurement, which has
        nothing to move from.

        Raises:
            Unreachable: too few samples came back fast enough; the offset stays as it was.
            Throttled: the exchange asked for silence.
        """
        seen = self._rounds
        async with self._lock:
            if self._rounds == seen:
                offset_ms = median_low(await self._offsets())
                self._moved_ms = abs(offset_ms - self._offset_ms) if self.synced else 0
                self._offset_ms = offset_ms
                self._rounds += 1
            return self._moved_ms

    async def glance(self) -> int:
        """The offset by one answer, however slow: wrong by up to half its round trip, not kept.

        Raises:
            Unreachable: no answer came.
            Throttled: the exchange asked for silence.
        """
        return (await self._asked())[0]

    async def _offsets(self) -> list[int]:
        found: list[int] = []
        lost = 0
        for _ in range(_MOST_ATTEMPTS):
            try:
                offset_ms = await self._sample()
            except Unreachable:
                lost += 1
                if lost > _MOST_LOST:
                    raise
                continue
            if offset_ms is not None:
                found.append(offset_ms)
            if len(found) == _SAMPLES:
                break
        if len(found) < _FEWEST:
            raise Unreachable(
                f"the exchange's clock cannot be read: {len(found)} of {_MOST_ATTEMPTS} answers "
                f"within {self._max_rtt_ms} ms"
            )
        return found

    async def _sample(self) -> int | None:
        """One offset; None when the answer took too long to say anything."""
        offset_ms, rtt_ms = await self._asked()
        return offset_ms if rtt_ms <= self._max_rtt_ms else None

    async def _asked(self) -> tuple[int, int]:
        """The offset by one answer, and its round trip."""
        before_ms = self._clock.monotonic_ms()
        server_ms = await self._read_server_ms()
        now_ms = self._clock.now_ms()
        rtt_ms = self._clock.monotonic_ms() - before_ms
        return server_ms + rtt_ms // 2 - now_ms, rtt_ms
