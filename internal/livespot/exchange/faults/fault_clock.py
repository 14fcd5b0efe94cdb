"""The time the exchange believes in: the market's, unless a fault moved it."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from livespot.contracts.ports import Alarm, Clock, Scope

_MILLION = 1_000_000


class FaultClock:
    """Wraps a clock; only `now_ms` is ever wrong. Spans and deadlines stay true."""

    def __init__(self, true: Clock) -> None:
        self._true = true
        self._step_ms = 0
        self._skews: dict[str, tuple[int, int]] = {}
        self._stood_ms = 0
        self._stands_until_ms = 0

    def now_ms(self) -> int:
        """What the exchange takes for the present."""
        true_ms = self._true.now_ms()
        base_ms = self._stood_ms if true_ms < self._stands_until_ms else true_ms
        drift = sum((base_ms - since) * ppm // _MILLION for since, ppm in self._skews.values())
        return base_ms + self._step_ms + drift

    def step(self, ms: int) -> None:
        """Set the clock forward, or back."""
        self._step_ms += ms

    def skew(self, name: str, ppm: int, since_ms: int) -> None:
        """Run too fast by `ppm` from a true instant on."""
        self._skews[name] = (since_ms, ppm)

    def unskew(self, name: str, true_ms: int) -> None:
        """Run at the true pace again; what was gained or lost by then stays."""
        since, ppm = self._skews.pop(name)
        self._step_ms += (true_ms - since) * ppm // _MILLION

    def suspend(self, ms: int, since_ms: int) -> None:
        """Stand still for a span, then show the present again."""
        self._stood_ms, self._stands_until_ms = since_ms, since_ms + ms

    def monotonic_ms(self) -> int:
        return self._true.monotonic_ms()

    async def sleep(self, seconds: float) -> None:
        await self._true.sleep(seconds)

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return self._true.move_on_after(seconds, shield=shield)

    def fail_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return self._true.fail_after(seconds, shield=shield)

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        return self._true.alarm(seconds, ring)
