"""Counts what each address asks for in fixed windows, and turns away who asks too much."""

from datetime import UTC, datetime

from livespot.exchange.model import Rejection
from livespot.exchange.settings import RequestLimits

MINUTE_MS = 60_000
_FIVE_MINUTES_MS = 5 * MINUTE_MS
_ADVICE = "Please use WebSocket Streams for live updates to avoid"
CONNECT_WEIGHT = 2


class TooMuch(Rejection):
    """429 or 418; `retry_at_ms` is when the caller may come back."""

    def __init__(self, code: int, msg: str, http_status: int, retry_at_ms: int) -> None:
        super().__init__(code, msg, http_status)
        self.retry_at_ms = retry_at_ms

    def retry_after(self, now_ms: int) -> int:
        """Whole seconds to wait, at least one."""
        return max(1, -(-(self.retry_at_ms - now_ms) // 1000))


class _Window:
    """A count that starts anew at each multiple of its span."""

    def __init__(self, span_ms: int) -> None:
        self._span_ms = span_ms
        self._number = -1
        self._count = 0

    def count(self, now_ms: int) -> int:
        if now_ms // self._span_ms != self._number:
            self._number, self._count = now_ms // self._span_ms, 0
        return self._count

    def add(self, amount: int, now_ms: int) -> None:
        self._count = self.count(now_ms) + amount

    def ends_ms(self, now_ms: int) -> int:
        return (now_ms // self._span_ms + 1) * self._span_ms


class WeightMeter:
    """One address's weight, requests and connections in fixed UTC windows, and its bans."""

    def __init__(self, limits: RequestLimits) -> None:
        self.limits = limits
        self._weight = _Window(MINUTE_MS)
        self._refusals = _Window(MINUTE_MS)
        self._requests = _Window(_FIVE_MINUTES_MS)
        self._connections = _Window(_FIVE_MINUTES_MS)
        self._cuts = _Window(_FIVE_MINUTES_MS)
        self._ban_ms = limits.first_ban_ms
        self._banned_until_ms = 0

    def used(self, now_ms: int) -> int:
        """Weight spent in the running minute."""
        return self._weight.count(now_ms)

    def connections(self, now_ms: int) -> int:
        """Connection attempts in the running five minutes."""
        return self._connections.count(now_ms)

    def admit(self, now_ms: int) -> None:
        """Let a request in, or raise `TooMuch`. Insisting after 429 earns a ban."""
        self._check_ban(now_ms)
        if self.used(now_ms) < self.limits.weight_per_minute:
            return
        self._refuse(
            TooMuch(
                -1003,
                "Too much request weight used; current limit is "
                f"{self.limits.weight_per_minute} request weight per 1 MINUTE. {_ADVICE} polling "
                "the API.",
                429,
                self._weight.ends_ms(now_ms),
            ),
            now_ms,
        )

    def count_request(self, now_ms: int) -> None:
        """Count a REST request whatever becomes of it; raises `TooMuch` above the limit."""
        self._check_ban(now_ms)
        self._requests.add(1, now_ms)
        most = self.limits.raw_requests
        if self._requests.count(now_ms) > most:
            text = f"Too many requests; current limit is {most} requests per 5 MINUTE. {_ADVICE} "
            error = TooMuch(-1003, f"{text}polling the API.", 429, self._requests.ends_ms(now_ms))
            self._refuse(error, now_ms)

    def connect(self, now_ms: int, weight: int = 0) -> None:
        """Count one attempt to open a socket of either kind; raises `TooMuch` above the limit."""
        self._check_ban(now_ms)
        self._connections.add(1, now_ms)
        most = self.limits.connections
        if self._connections.count(now_ms) > most:
            raise TooMuch(
                -1034,
                f"Too many connection attempts from IP; current limit is {most} per '5 MINUTE'.",
                429,
                self._connections.ends_ms(now_ms),
            )
        self.charge(weight, now_ms)

    def note_cut(self, now_ms: int) -> bool:
        """Count a client that was cut off for talking too much; true when that earns a ban."""
        self._cuts.add(1, now_ms)
        if self._cuts.count(now_ms) <= self.limits.cuts_before_ban:
            return False
        self.ban(now_ms)
        return True

    def charge(self, weight: int, now_ms: int) -> None:
        """Add what a request cost."""
        self._weight.add(weight, now_ms)

    def ban(self, now_ms: int, span_ms: int | None = None) -> None:
        """Refuse everything for a while: `span_ms`, else longer each time. None cuts another."""
        if span_ms is None:
            span_ms = self._ban_ms
            self._ban_ms = min(2 * self._ban_ms, self.limits.longest_ban_ms)
        self._banned_until_ms = max(self._banned_until_ms, now_ms + span_ms)

    def _check_ban(self, now_ms: int) -> None:
        if now_ms < self._banned_until_ms:
            raise self._ban_error()

    def _refuse(self, error: TooMuch, now_ms: int) -> None:
        """Raise the error, or begin a ban when it was raised too often."""
        self._refusals.add(1, now_ms)
        if self._refusals.count(now_ms) <= self.limits.refusals_before_ban:
            raise error
        self.ban(now_ms)
        raise self._ban_error()

    def _ban_error(self) -> TooMuch:
        return TooMuch(
            -1003,
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            f"{_ADVICE} bans.",
            418,
            self._banned_until_ms,
        )


class Meters:
    """One meter for each address that ever called."""

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._meters: dict[str, WeightMeter] = {}

    def of(self, host: str) -> WeightMeter:
        """The meter of an address."""
        meter = self._meters.get(host)
        if meter is None:
            meter = self._meters[host] = WeightMeter(self._limits)
        return meter

    def ban_all(self, now_ms: int, span_ms: int | None = None) -> None:
        """Ban every address that ever called."""
        for meter in self._meters.values():
            meter.ban(now_ms, span_ms)


def iso(ms: int) -> str:
    """An instant as people read it, UTC."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
