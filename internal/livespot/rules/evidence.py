"""When absence is proven: the fence, the engine's progress, and the reads that would show it."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from livespot.contracts.settings import TimingSettings
from livespot.contracts.vocabulary import IntentRole, Side

MIN_NEGATIVE_READS = 3
MIN_ENDPOINTS = 2


class Endpoint(StrEnum):
    """The reads that can show the effect of an intent."""

    ORDER = "ORDER"
    ORDER_LIST = "ORDER_LIST"
    OPEN_ORDERS = "OPEN_ORDERS"
    ALL_ORDERS = "ALL_ORDERS"
    TRADES = "TRADES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One read; without a `client_order_id` it covers the symbol, or a cancel's order."""

    endpoint: Endpoint
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """A complete read that showed no effect.

    `at_ms` is the server time before it began, `steady_ms` the same by our steady clock.
    """

    probe: Probe
    at_ms: int
    steady_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything known about one unanswered intent.

    `signed_ms` is the latest server time at which the request can have been signed; `list_id` is
    the client id of its order list, empty when there is none; `order_ids` are those of its orders
    and of the cancels aimed at them. `side` and `qty` are those of its first order: an order that
    was cancelled by hand no longer carries our id and is recognised by them.

    With a `target_order_id` the intent is a cancel of that order. A read that shows the order
    standing disproves it; it has no ids of its own to look for.

    `steady_fence_ms` is the fence by our steady clock, see the function of that name.
    """

    intent_id: str
    symbol: str
    order_ids: tuple[str, ...]
    list_id: str
    side: Side
    qty: Decimal
    signed_ms: int
    recv_window_ms: int
    steady_fence_ms: int
    target_order_id: int = 0
    engine_time_ms: int = 0
    rounds: int = 0
    negatives: tuple[Negative, ...] = field(default=())


def latest_signature_ms(sent_at_ms: int, timing: TimingSettings) -> int:
    """The latest possible time of signing: after SENT_UNKNOWN and within the call's limit."""
    return sent_at_ms + timing.mutation_timeout_ms


def engine_horizon_ms(case: Case, timing: TimingSettings) -> int:
    """Engine time after which the request can no longer be accepted."""
    return case.signed_ms + case.recv_window_ms + timing.engine_wait_ms


def fence_ms(case: Case, timing: TimingSettings) -> int:
    """Server time before which a read that shows nothing proves nothing."""
    return engine_horizon_ms(case, timing) + timing.read_lag_ms


def steady_fence_ms(
    now_steady_ms: int, *, sent_ago_ms: int, recv_window_ms: int, timing: TimingSettings
) -> int:
    """Steady time before which a read that shows nothing proves nothing.

    The engine's wait and the lag of reads are spans of time. A server clock that is set forward
    passes the fence sooner, but the exchange has had no more time; nor has it when our own clock is
    set. `sent_ago_ms` is by our wall clock, the only one that a restart leaves comparable; a
    negative value says that it was set back, and then the whole span is waited for.
    """
    allowed_ms = latest_signature_ms(0, timing) + recv_window_ms
    allowed_ms += timing.engine_wait_ms + timing.read_lag_ms
    return now_steady_ms + max(0, allowed_ms - max(0, sent_ago_ms))


def probes_of(case: Case) -> tuple[Probe, ...]:
    """Every read that a proof of absence needs: each alias by name, then the whole symbol.

    For a cancel: the order it aims at, by its exchange id and among the open orders.
    """
    if case.target_order_id:
        return (Probe(endpoint=Endpoint.ORDER), Probe(endpoint=Endpoint.OPEN_ORDERS))
    by_name = [Probe(endpoint=Endpoint.ORDER, client_order_id=cid) for cid in case.order_ids]
    if case.list_id:
        by_name.insert(0, Probe(endpoint=Endpoint.ORDER_LIST, client_order_id=case.list_id))
    return (
        *by_name[:1],
        Probe(endpoint=Endpoint.OPEN_ORDERS),
        Probe(endpoint=Endpoint.TRADES),
        *by_name[1:],
        Probe(endpoint=Endpoint.ALL_ORDERS),
    )


def next_probes(case: Case, timing: TimingSettings, *, limit: int) -> tuple[Probe, ...]:
    """The reads of the next round: first those without a negative result after the fence."""
    probes = probes_of(case)
    done = {negative.probe for negative in behind_fence(case, timing)}
    open_probes = [probe for probe in probes if probe not in done] or list(probes)
    start = case.rounds * limit % len(open_probes) if not done else 0
    rotated = open_probes[start:] + open_probes[:start]
    return tuple(rotated[:limit])


def absence_proven(case: Case, timing: TimingSettings, *, now_server_ms: int) -> bool:
    """Whether the intent certainly had no effect and never will have one.

    Needs the fence to have passed, an engine time beyond the request's horizon, and negative reads,
    all begun after the fence by both clocks, of every alias, of all orders and of the trades: at
    least three reads on at least two endpoints. A cancel whose order still stood when the request
    could no longer be accepted has not cancelled it and never will.
    """
    if now_server_ms < fence_ms(case, timing):
        return False
    if case.engine_time_ms <= engine_horizon_ms(case, timing):
        return False
    counted = behind_fence(case, timing)
    asked = {negative.probe for negative in counted}
    endpoints = {probe.endpoint for probe in asked}
    return (
        len(counted) >= MIN_NEGATIVE_READS
        and len(endpoints) >= MIN_ENDPOINTS
        and asked.issuperset(probes_of(case))
    )


def behind_fence(case: Case, timing: TimingSettings) -> tuple[Negative, ...]:
    """The reads that count: those begun behind the fence, by the server's clock and by ours."""
    fence = fence_ms(case, timing)
    return tuple(
        negative
        for negative in case.negatives
        if negative.at_ms >= fence and negative.steady_ms >= case.steady_fence_ms
    )


def is_protective(role: IntentRole) -> bool:
    """Whether an intent of this role reduces risk and so never waits for an unknown one."""
    return role not in (IntentRole.ENTRY, IntentRole.CANCEL)
