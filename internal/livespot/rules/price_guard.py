"""Whether a streamed price can be believed: a jump counts only once it is confirmed."""

from dataclasses import dataclass
from enum import Enum

# A price this many times above or below the last believed one is a jump.
JUMP = 1.10
# A jump is believed once this many prices in a row agree with it,
CONFIRMATIONS = 3
# over this long, or sooner if books and trades both show it.
CONFIRM_MS = 2000
# A jump that has not been confirmed for this long was false.
DOUBT_MS = 10_000


class Told(Enum):
    """Which of the two independent streams showed a price."""

    BOOK = "book"
    TRADE = "trade"


@dataclass(slots=True)
class _Claim:
    """An unconfirmed jump; `price` is the newest price that agrees with it."""

    price: float
    since_ms: int
    told: set[Told]
    count: int = 1
    exposed: bool = False


class PriceGuard:
    """One symbol's believed price level, and the jump in question, if there is one.

    A price within a tenth of the level is believed and becomes the level. Any other is held back
    until three prices in a row agree within a tenth, over two seconds, or sooner when books and
    trades are both among them; the market has then really moved. A jump is exposed as false when a
    price of the old level or of a third level follows it, or when ten seconds do not confirm it.
    Without any level the first price is believed.
    """

    __slots__ = ("_claim", "_exposed", "_level", "is_doubtful")

    def __init__(self) -> None:
        # Whether the true level is unknown now, which is as long as there is a claim.
        self.is_doubtful = False
        self._level: float | None = None
        self._claim: _Claim | None = None
        self._exposed: float | None = None

    def anchor(self, price: float) -> None:
        """Believe a price read by REST."""
        self._level = price

    def agrees(self, price: float) -> bool:
        """Whether the price is within the believed level; it does not change the level."""
        level = self._level
        return level is None or (price <= level * JUMP and level <= price * JUMP)

    def take(self, price: float, at_ms: int, told: Told) -> bool:
        """Whether the price is believed; `at_ms` is when it was received."""
        level, claim = self._level, self._claim
        if level is None or (price <= level * JUMP and level <= price * JUMP):
            if claim is not None:
                self._expose(claim)
                self._settle()
            self._level = price
            return True
        if claim is None or not _alike(price, claim.price):
            if claim is not None:
                self._expose(claim)
            self._claim, self.is_doubtful = _Claim(price, at_ms, {told}), True
            return False
        claim.price = price
        claim.count += 1
        claim.told.add(told)
        seen_long = at_ms - claim.since_ms >= CONFIRM_MS
        if claim.count < CONFIRMATIONS or not (seen_long or len(claim.told) == len(Told)):
            return False
        self._level = price
        self._settle()
        return True

    def exposed(self, now_ms: int) -> float | None:
        """A price that was found false since the last call; `now_ms` is on the clock of `take`."""
        claim = self._claim
        if claim is not None and now_ms - claim.since_ms >= DOUBT_MS:
            self._expose(claim)
        found, self._exposed = self._exposed, None
        return found

    def _settle(self) -> None:
        """End the doubt: drop the claim."""
        self._claim, self.is_doubtful = None, False

    def _expose(self, claim: _Claim) -> None:
        if not claim.exposed:
            claim.exposed = True
            self._exposed = claim.price


def _alike(price: float, other: float) -> bool:
    return price <= other * JUMP and other <= price * JUMP
