"""What a fill model estimates of a shadow run's entries, kept apart from everything real."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.base import Message
from livespot.evidence.rows import Count
from livespot.store.reader import Reader

_ENTERED = "WOULD_ENTER"
_EVENTS = """
SELECT json_extract(data, '$.shadow') FROM audit_events
WHERE run_id = ? AND event_type = 'DECISION_PROPOSED' AND json_valid(data)
AND json_type(data) = 'object' AND json_extract(data, '$.outcome') = 'SHADOW' ORDER BY seq
"""
_NOTE = "a model's estimates: no order was sent and nothing was filled"


class ShadowEstimates(Message, frozen=True):
    """Amounts in the quote asset, with the stated fees and slippage. None is unknown.

    `entries` counts what would have been sent, `outcomes` how those that are over ended.
    `net_quote` sums the `known` results; of the others the model cannot tell one.
    """

    model: str
    note: str
    entries: int
    outcomes: tuple[Count, ...]
    known: int
    net_quote: Decimal | None
    fees_quote: Decimal | None
    unknown: dict[str, str]


async def read_estimates(reader: Reader, run_id: str) -> ShadowEstimates | None:
    """Return None where nothing was estimated: a run that sends, or one without entries.

    Raises `StoreBusy` or `AuditUnwritable`.
    """
    rows = await reader.rows(_EVENTS, (run_id,))
    return estimates([msgspec.json.decode(str(row[0])) for row in rows])


def estimates(told: Sequence[dict[str, Any]]) -> ShadowEstimates | None:
    """Add up what each event of the model states, in order; the pure part of `read_estimates`."""
    if not told:
        return None
    over = [one for one in told if one["outcome"] != _ENTERED]
    known = [one for one in over if one["net_quote"] is not None]
    counts = Counter(str(one["outcome"]) for one in over)
    why = "no entry of the model came to a result that is known"
    return ShadowEstimates(
        model=str(told[0]["model"]),
        note=_NOTE,
        entries=sum(one["outcome"] == _ENTERED for one in told),
        outcomes=tuple(Count(name=name, count=count) for name, count in sorted(counts.items())),
        known=len(known),
        net_quote=_sum(known, "net_quote"),
        fees_quote=_sum(known, "fees_quote"),
        unknown={} if known else dict.fromkeys(("net_quote", "fees_quote"), why),
    )


def _sum(known: Sequence[dict[str, Any]], name: str) -> Decimal | None:
    return sum((Decimal(one[name]) for one in known), Decimal(0)) if known else None
