"""Counts request weight per minute and turns away who spends too much."""

from datetime import UTC, datetime

from livespot.exchange.model import Rejection
from livespot.exchange.settings import RequestLimits

_WINDOW_MS = 60_000
_ADVICE = "Please use WebSocket Streams for live updates to avoid"


class TooMuch(Rejection):
    """429 or 418; `retry_at_ms` is when the caller may come back."""

    def __init__(self, code: int, msg: str, http_status: int, retry_at_ms: int) -> None:
        super().__init__(code, msg, http_status)
        self.retry_at_ms = retry_at_ms


class WeightMeter:
    """One address's weight in fixed UTC minutes, and its bans."""

    def __init__(self, limits: RequestLimits) -> None:
        self.limits = limits
        self._minute = -1
        self._used = 0
        self._refusals = 0
        self._ban_ms = limits.first_ban_ms
        self._banned_until_ms = 0

    def used(self, now_ms: int) -> int:
        """Weight spent in the running minute."""
        minute = now_ms // _WINDOW_MS
        if minute != self._minute:
            self._minute, self._used, self._refusals = minute, 0, 0
        return self._used

    def admit(self, now_ms: int) -> None:
        """Let a request in, or raise `TooMuch`. Insisting after 429 earns a ban."""
        if now_ms < self._banned_until_ms:
            raise self._ban_error()
        if self.used(now_ms) < self.limits.weight_per_minute:
            return
        self._refusals += 1
        if self._refusals > self.limits.refusals_before_ban:
            self._banned_until_ms = now_ms + self._ban_ms
            self._ban_ms = min(2 * self._ban_ms, self.limits.longest_ban_ms)
            raise self._ban_error()
        raise TooMuch(
            -1003,
            "Too much request weight used; current limit is "
            f"{self.limits.weight_per_minute} request weight per 1 MINUTE. {_ADVICE} polling "
            "the API.",
            429,
            (self._minute + 1) * _WINDOW_MS,
        )

    def charge(self, weight: int, now_ms: int) -> None:
        """Add what a request cost."""
        self._used = self.used(now_ms) + weight

    def _ban_error(self) -> TooMuch:
        return TooMuch(
            -1003,
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            f"{_ADVICE} bans.",
            418,
            self._banned_until_ms,
        )


def iso(ms: int) -> str:
    """An instant as people read it, UTC."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
