"""The exchange's recipe for a local order book, followed to the letter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


class GapFound(Exception):
    """An event is missing; the recipe begins anew."""


class SnapshotTooOld(Exception):
    """The snapshot is from before the first event; another one is needed."""


@dataclass
class LocalBook:
    """Prices and quantities as text, best first only when asked for."""

    last_id: int = 0
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)

    def begin(self, snapshot: Mapping[str, Any], buffered: Iterable[Mapping[str, Any]]) -> None:
        """Take a REST snapshot and the events that came since the stream was opened."""
        events = list(buffered)
        if events and snapshot["lastUpdateId"] < events[0]["U"]:
            raise SnapshotTooOld
        self.last_id = snapshot["lastUpdateId"]
        self.bids, self.asks = _sides(snapshot["bids"]), _sides(snapshot["asks"])
        for event in events:
            self.apply(event)

    def apply(self, event: Mapping[str, Any]) -> None:
        """One event of the depth stream, in the order of arrival."""
        if event["u"] <= self.last_id:
            return
        if event["U"] > self.last_id + 1:
            raise GapFound(f"{event['U']} after {self.last_id}")
        for levels, changes in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, qty in _sides(changes).items():
                if qty:
                    levels[price] = qty
                else:
                    levels.pop(price, None)
        self.last_id = event["u"]

    def same_as(self, snapshot: Mapping[str, Any]) -> bool:
        """True when a snapshot of this very moment holds the same levels."""
        sides = _sides(snapshot["bids"]), _sides(snapshot["asks"])
        return self.last_id == snapshot["lastUpdateId"] and sides == (self.bids, self.asks)


def _sides(rows: Iterable[tuple[str, str]]) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(qty) for price, qty in rows}
