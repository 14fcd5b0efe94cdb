"""How often the account's connection was had again: whoever keeps the time measures it anew."""

from dataclasses import dataclass


@dataclass(slots=True)
class Reconnections:
    """Written by the account feed, read by the clock keeper; the first connection is none."""

    count: int = 0
