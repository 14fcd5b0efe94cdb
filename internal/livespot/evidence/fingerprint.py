"""How orders were executed in one run: results, latencies, slippage, doubts."""

from collections.abc import Iterable, Sequence

from livespot.contracts.base import Message
from livespot.evidence.particulars import OrderKind, Particulars
from livespot.evidence.rows import Count, Facts
from livespot.evidence.summary import UnknownIntent, unknown_intents


class Distribution(Message, frozen=True):
    """Nearest-rank quantiles; None where there was nothing to measure, as `unknown` says."""

    count: int
    p50: int | None
    p95: int | None
    p99: int | None
    most: int | None
    unknown: str


class Fingerprint(Message, frozen=True):
    """Latencies in ms: of a mutation from send to answer, of a fill from the exchange to us.

    `slippage_bps` is how much worse than planned fills were. `weight_peak` is the most request
    weight in a minute; None is unknown, and `unknown` says why, by field.
    """

    run_id: str
    orders: tuple[OrderKind, ...]
    intents: int
    fills: int
    rejects_by_code: tuple[Count, ...]
    retries: int
    answer_ms: Distribution
    fill_ms: Distribution
    gate_ms: Distribution
    slippage_bps: Distribution
    weight_peak: int | None
    unknown_intents: tuple[UnknownIntent, ...]
    unknown: dict[str, str]


def fingerprint(facts: Facts, particulars: Particulars) -> Fingerprint:
    """Return the fingerprint of the run that both arguments are about."""
    # A run's samples are pruned first; the peak of the remaining ones is not the run's.
    gone = facts.counts.pruned
    peak = None if gone else particulars.weight_peak
    unknown = {} if peak is not None else {"weight_peak": gone or "no health sample was taken"}
    return Fingerprint(
        run_id=facts.run_id,
        orders=particulars.orders,
        intents=particulars.intents,
        fills=len(particulars.fills),
        rejects_by_code=particulars.error_codes,
        retries=particulars.retries,
        answer_ms=distribution(answer_times(facts), "no mutation was answered"),
        fill_ms=distribution((fill.late_ms for fill in particulars.fills), "nothing was filled"),
        gate_ms=distribution(particulars.gate_ms, "the model was not asked"),
        slippage_bps=distribution(slippages(particulars), "nothing was filled at a planned price"),
        weight_peak=peak,
        unknown_intents=unknown_intents(facts),
        unknown=unknown,
    )


def answer_times(facts: Facts) -> list[int]:
    """Return how many ms each mutation of the run waited for its answer."""
    sent = facts.sent_at()
    own = {i.order_intent_id for i in facts.intents if i.run_id == facts.run_id}
    return [
        step.at_ms - sent[step.order_intent_id]
        for step in facts.transitions
        if step.from_state == "SENT_UNKNOWN" and step.order_intent_id in own & sent.keys()
    ]


def slippages(particulars: Particulars) -> list[int]:
    """Return the slippage in bps of each fill that had a planned price."""
    found = (fill.slippage_bps for fill in particulars.fills)
    return [bps for bps in found if bps is not None]


def distribution(values: Iterable[int], nothing: str) -> Distribution:
    """Return the quantiles of some values; `nothing` says why there are none."""
    ordered = sorted(values)
    if not ordered:
        return Distribution(count=0, p50=None, p95=None, p99=None, most=None, unknown=nothing)
    return Distribution(
        count=len(ordered),
        p50=_rank(ordered, 50),
        p95=_rank(ordered, 95),
        p99=_rank(ordered, 99),
        most=ordered[-1],
        unknown="",
    )


def _rank(ordered: Sequence[int], percent: int) -> int:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
