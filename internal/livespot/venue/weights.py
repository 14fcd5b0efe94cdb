"""The request budget: weight per exchange minute, spent by priority, corrected by answers."""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

from livespot.contracts.base import Message
from livespot.contracts.errors import Throttled
from livespot.contracts.venue import BanState

_MINUTE_MS = 60_000
_UNIT_MS = {"S": 1_000, "M": _MINUTE_MS, "H": 3_600_000, "D": 86_400_000}
_ORDER_COUNT_HEADER = re.compile(r"x-mbx-order-count-(\d+)([smhd])")
_WEIGHT_HEADER = "x-mbx-used-weight-1m"
# For this long after a silence only protection may send.
_HEAD_START_MS = 500


class Priority(IntEnum):
    """The order in which requests are held back when the budget runs low, most urgent first."""

    PROTECTION = 0
    QUERY = 1
    ENTRY = 2
    SCAN = 3


# How much of the minute's weight may be used when a request of this priority is sent; the last
# twentieth is for protection alone.
_CEILING_PCT = {
    Priority.PROTECTION: 100,
    Priority.QUERY: 95,
    Priority.ENTRY: 95,
    Priority.SCAN: 80,
}


class RateLimit(Message, frozen=True):
    """One limit of exchangeInfo or of a reply; `count` is -1 when it was not stated."""

    kind: str
    interval_ms: int
    limit: int
    count: int = -1


class BudgetSpent(Throttled):
    """Our own budget holds this request back; nothing was sent to the exchange."""


class WeightBudget:
    """Request weight and order counts of one address and account. Synchronous: it never waits.

    All times are on the exchange's clock (`steady_now_ms`), because its windows are, and counted by
    the steady clock, because a silence does not end when somebody sets the machine's clock.
    """

    def __init__(self, steady_now_ms: Callable[[], int], *, weight_limit: int = 6000) -> None:
        self._now_ms = steady_now_ms
        self._limit = weight_limit
        self._window = 0
        self._used = 0
        self._order_limits: dict[int, int] = {}
        self._order_counts: dict[int, tuple[int, int]] = {}
        self._ban = BanState()
        self._listener: Callable[[], None] = _no_listener

    @property
    def used_weight(self) -> int:
        """Weight spent in the exchange's current minute by everybody behind our address."""
        self._roll()
        return self._used

    @property
    def weight_limit(self) -> int:
        return self._limit

    @property
    def unfilled_orders_pct(self) -> int:
        """The fullest order-count window that is still running, in percent of its limit."""
        now_ms = self._now_ms()
        return max(
            (
                100 * count // self._order_limits[interval]
                for interval, (window, count) in self._order_counts.items()
                if interval in self._order_limits and now_ms // interval == window
            ),
            default=0,
        )

    @property
    def bans(self) -> BanState:
        """The silences in force, for the run to store."""
        return self._ban

    def when_silenced(self, told: Callable[[], None]) -> None:
        """Call `told` when a silence begins or grows; replaces an earlier listener."""
        self._listener = told

    def restore(self, bans: BanState) -> None:
        """Take over the silences of an earlier process; a silence is only ever lengthened."""
        longer = BanState(
            throttled_until_ms=max(self._ban.throttled_until_ms, bans.throttled_until_ms),
            banned_until_ms=max(self._ban.banned_until_ms, bans.banned_until_ms),
            orders_until_ms=max(self._ban.orders_until_ms, bans.orders_until_ms),
        )
        if longer != self._ban:
            self._ban = longer
            self._listener()

    def require_unbanned(self) -> None:
        """Raise `Throttled` while a ban (418) lasts; for a connection that costs no weight."""
        left_ms = self._ban.banned_until_ms - self._now_ms()
        if left_ms > 0:
            raise Throttled(retry_after_ms=left_ms, banned=True)

    def spend(self, weight: int, priority: Priority, *, places_orders: bool = False) -> int:
        """Take `weight` for a request about to be sent; returns the current window for `observe`.

        Raises:
            Throttled: the exchange asked for silence (`banned` after a 418).
            BudgetSpent: what is left of this minute is kept for more urgent requests.
        """
        now_ms = self._now_ms()
        self._require_silence_over(now_ms, priority, places_orders=places_orders)
        self._roll()
        if (self._used + weight) * 100 > self._limit * _CEILING_PCT[priority]:
            raise BudgetSpent(retry_after_ms=_MINUTE_MS - now_ms % _MINUTE_MS, banned=False)
        self._used += weight
        return self._window

    def observe(self, headers: Mapping[str, str], window: int) -> None:
        """Adopt the exchange's own counters from response headers with lower-case names.

        A weight whose answer arrives after the minute has turned may belong to either minute:
        ignored.
        """
        text = headers.get(_WEIGHT_HEADER, "")
        if text.isascii() and text.isdigit():
            self._count_weight(int(text), window)
        for name, value in headers.items():
            found = _ORDER_COUNT_HEADER.fullmatch(name)
            if found and value.isascii() and value.isdigit():
                interval = int(found[1]) * _UNIT_MS[found[2].upper()]
                self._count_orders(interval, int(value))

    def observe_limits(self, limits: Iterable[RateLimit], window: int) -> None:
        """Like `observe`, from the `rateLimits` of a WebSocket API reply."""
        for limit in limits:
            if limit.count < 0:
                continue
            if limit.kind == "REQUEST_WEIGHT" and limit.interval_ms == _MINUTE_MS:
                self._count_weight(limit.count, window)
            elif limit.kind == "ORDERS":
                self._count_orders(limit.interval_ms, limit.count)

    def adopt(self, limits: Iterable[RateLimit]) -> None:
        """Replace the assumed limits by those of exchangeInfo."""
        for limit in limits:
            if limit.limit <= 0:
                continue
            if limit.kind == "REQUEST_WEIGHT" and limit.interval_ms == _MINUTE_MS:
                self._limit = limit.limit
            elif limit.kind == "ORDERS":
                self._order_limits[limit.interval_ms] = limit.limit

    def silence(self, refusal: Throttled) -> None:
        """Send nothing more until the time that a 429 or 418 asked for."""
        until_ms = self._now_ms() + refusal.retry_after_ms
        if refusal.orders_only:
            self.restore(BanState(orders_until_ms=until_ms))
        elif refusal.banned:
            self.restore(BanState(banned_until_ms=until_ms))
        else:
            self.restore(BanState(throttled_until_ms=until_ms))

    def _require_silence_over(
        self, now_ms: int, priority: Priority, *, places_orders: bool
    ) -> None:
        bans = self._ban
        until_ms = max(bans.throttled_until_ms, bans.banned_until_ms)
        if now_ms < until_ms:
            raise Throttled(retry_after_ms=until_ms - now_ms, banned=now_ms < bans.banned_until_ms)
        if priority is not Priority.PROTECTION and now_ms < until_ms + _HEAD_START_MS:
            raise BudgetSpent(retry_after_ms=until_ms + _HEAD_START_MS - now_ms, banned=False)
        if places_orders and now_ms < bans.orders_until_ms:
            raise Throttled(
                retry_after_ms=bans.orders_until_ms - now_ms, banned=False, orders_only=True
            )

    def _roll(self) -> None:
        window = self._now_ms() // _MINUTE_MS
        if window != self._window:
            self._window, self._used = window, 0

    def _count_weight(self, count: int, window: int) -> None:
        self._roll()
        if window == self._window:
            self._used = max(self._used, count)

    def _count_orders(self, interval_ms: int, count: int) -> None:
        self._order_counts[interval_ms] = (self._now_ms() // interval_ms, count)


def _no_listener() -> None:
    """Nobody listens yet."""


def interval_ms(unit: str, count: int) -> int:
    """Return a window's length in milliseconds; 0 for an unknown `unit` of exchangeInfo."""
    return _UNIT_MS.get(unit[:1], 0) * count
