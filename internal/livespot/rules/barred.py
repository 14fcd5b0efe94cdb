"""Refusals of every sale alike that only somebody else can end."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from livespot.contracts.amounts import ZERO


class Bar(StrEnum):
    """What stands in the way; the value is said in alerts."""

    ACCOUNT = "the account may not trade"
    SYMBOL = "the account may not trade this symbol"
    BASE = "somebody else has locked the base"


# The matching engine's words.
_WORDS = (
    ("may not place or cancel orders", Bar.ACCOUNT),
    ("action is disabled on this account", Bar.ACCOUNT),
    ("symbol is not permitted for this account", Bar.SYMBOL),
    ("symbol is restricted for this account", Bar.SYMBOL),
    ("insufficient balance", Bar.BASE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """What refuses the sales of a position.

    `shown` once a read of the account has shown it, too. `failures` counts the sales given up
    since, `told_ms` is when that was last said.
    """

    by: Bar
    shown: bool = False
    failures: int = 0
    told_ms: int | None = None


def locked_away(barred: Barred | None, wanted: Decimal, free: Decimal | None) -> Decimal:
    """How much of what is to be sold somebody else has locked, after the exchange has said so.

    A read alone is not believed: it may be from before base of ours was freed.
    """
    if barred is None or barred.by is not Bar.BASE or free is None:
        return ZERO
    return max(ZERO, wanted - free)


def bar_of(message: str) -> Bar | None:
    """What a refusal in these words says of more than its own order."""
    return next((bar for words, bar in _WORDS if words in message), None)


def barred_anew(known: Barred | None, message: str) -> Barred | None:
    """The memory after one more refusal: another reason begins another one."""
    bar = bar_of(message)
    if bar is None or (known is not None and known.by is bar):
        return known if bar is not None else None
    return Barred(by=bar)
