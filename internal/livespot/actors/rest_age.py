"""The age of the last confirming read of the account; written by one actor, read by another."""


class RestAge:
    """Monotonic milliseconds. `interval_ms` is how often a confirming read is due now."""

    def __init__(self, interval_ms: int) -> None:
        self.last_success_ms: int | None = None
        self.interval_ms = interval_ms

    def succeeded(self, now_ms: int) -> None:
        self.last_success_ms = now_ms

    def age_ms(self, now_ms: int) -> int | None:
        """None before the first success."""
        return None if self.last_success_ms is None else max(0, now_ms - self.last_success_ms)
