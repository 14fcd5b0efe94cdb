"""Counts reconnections of the account's stream, after each of which the time is measured again."""

from dataclasses import dataclass


@dataclass(slots=True)
class Reconnections:
    """Written by the account feed, read by the clock keeper; the first one does not count."""

    count: int = 0
