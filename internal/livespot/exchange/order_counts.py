"""Counts unfilled orders of one account in the exchange's fixed windows."""

from livespot.exchange.model import OrderLimits, Rejection

TEN_SECONDS_MS = 10_000
DAY_MS = 86_400_000
TAKER_CREDIT = 1
MAKER_CREDIT = 5


class TooManyOrders(Rejection):
    """-1015 with HTTP 429; `window_ms` is the length of the window that is full."""

    def __init__(self, limit: int, window: str, window_ms: int) -> None:
        text = f"Too many new orders; current limit is {limit} orders per {window}."
        super().__init__(-1015, text, http_status=429)
        self.window_ms = window_ms


class OrderCounts:
    """Windows are aligned to UTC; a first fill gives credit, never below zero.

    Orders accepted count up; the first fill of an order counts down, more for a maker. While
    the day is over its limit the short window is no longer counted.
    """

    def __init__(self, limits: OrderLimits) -> None:
        self._limits = limits
        self._from_ms = self._until_ms = 0
        self._day_window = -1
        self._short = 0
        self._day = 0

    def counts(self, now_ms: int) -> tuple[int, int]:
        """(orders in the running 10 s, orders in the running day)."""
        self._roll(now_ms)
        return self._short, self._day

    def check(self, now_ms: int, orders: int = 1) -> None:
        """Raise Rejection -1015 (HTTP 429) when the account may not place so many more orders."""
        self._roll(now_ms)
        if self._day + orders > self._limits.day:
            raise TooManyOrders(self._limits.day, "1 DAY", DAY_MS)
        if self._short + orders > self._limits.ten_seconds:
            raise TooManyOrders(self._limits.ten_seconds, "10 SECOND", TEN_SECONDS_MS)

    def add(self, orders: int, now_ms: int) -> None:
        """Count newly accepted orders."""
        self._roll(now_ms)
        if self._day < self._limits.day:
            self._short += orders
        self._day += orders

    def first_fill(self, *, is_maker: bool, now_ms: int) -> None:
        """Give back credit for the first fill of an order."""
        self._roll(now_ms)
        credit = MAKER_CREDIT if is_maker else TAKER_CREDIT
        self._short = max(0, self._short - credit)
        self._day = max(0, self._day - credit)

    def _roll(self, now_ms: int) -> None:
        if self._from_ms <= now_ms < self._until_ms:
            return
        # A day is a whole number of short windows, so it can only end where one of them does.
        self._from_ms = now_ms - now_ms % TEN_SECONDS_MS
        self._until_ms = self._from_ms + TEN_SECONDS_MS
        self._short = 0
        day = now_ms // DAY_MS
        if day != self._day_window:
            self._day_window, self._day = day, 0
