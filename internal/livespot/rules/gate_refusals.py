"""How long a refusal of the model stands, so that it is not asked again in every cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from livespot.contracts.market import Snapshot
from livespot.contracts.vocabulary import GateVerdict, RegimeLabel
from livespot.rules.gate_budget import HOUR_MS

FIRST_MS = 30_000
LONGEST_MS = 600_000

# What an answer is about: a symbol in a regime. Another regime is another question.
Subject: TypeAlias = tuple[str, RegimeLabel]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last of `count` refusals in a row, and when it came, in monotonic ms."""

    count: int
    at_ms: int

    @property
    def stands_ms(self) -> int:
        """30 s after the first, twice as long after each further one, 10 minutes at most."""
        doublings = min(self.count - 1, (LONGEST_MS // FIRST_MS).bit_length())
        return min(LONGEST_MS, FIRST_MS << doublings)


Refusals: TypeAlias = Mapping[Subject, Refusal]


def subject_of(snapshot: Snapshot) -> Subject:
    """What a proposal on this snapshot asks the model about."""
    return snapshot.symbol, snapshot.regime.label


def stands(refusals: Refusals, subject: Subject, now_ms: int) -> bool:
    """Whether the model has refused this too recently to be asked again."""
    refusal = refusals.get(subject)
    return refusal is not None and now_ms - refusal.at_ms < refusal.stands_ms


def answered(refusals: Refusals, subject: Subject, verdict: GateVerdict, now_ms: int) -> Refusals:
    """The refusals after one more answer, in monotonic ms.

    A permission ends all of its symbol, a failure changes nothing. An hour without a further one
    ends a series; so a symbol costs at most ten calls an hour for each regime while it is refused.
    """
    kept = {
        about: refusal for about, refusal in refusals.items() if now_ms - refusal.at_ms < HOUR_MS
    }
    match verdict:
        case GateVerdict.BLOCK:
            known = kept.get(subject)
            count = 1 if known is None else known.count + 1
            return kept | {subject: Refusal(count, now_ms)}
        case GateVerdict.ALLOW | GateVerdict.MODIFY:
            return {about: refusal for about, refusal in kept.items() if about[0] != subject[0]}
        case GateVerdict.ERROR:
            return kept
