"""When absence is proven: the fence, the engine's progress, and reads that could have seen it."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from livespot.contracts.settings import TimingSettings
from livespot.contracts.vocabulary import IntentRole, Side

MIN_NEGATIVE_READS = 3
MIN_ENDPOINTS = 2


class Endpoint(StrEnum):
    """The reads that can show an intent's effect."""

    ORDER = "ORDER"
    ORDER_LIST = "ORDER_LIST"
    OPEN_ORDERS = "OPEN_ORDERS"
    ALL_ORDERS = "ALL_ORDERS"
    TRADES = "TRADES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One read to make; without a `client_order_id` it covers the symbol or a cancel's order."""

    endpoint: Endpoint
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """A complete read against the intent's effect; `at_ms` is server time before it began."""

    probe: Probe
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything known about one unanswered intent.

    `signed_ms` is the latest server time at which the request can have been signed; `list_id` is
    the client id of its order list, empty when there is none; `order_ids` are those of its orders
    and of the cancels aimed at them. `side` and `qty` are those of its first order: an order that
    somebody cancelled by hand no longer carries our id and is recognised by them.

    With a `target_order_id` the intent is a cancel of that order. What denies it is a read that
    shows the order standing; it has no ids to look for.
    """

    intent_id: str
    symbol: str
    order_ids: tuple[str, ...]
    list_id: str
    side: Side
    qty: Decimal
    signed_ms: int
    recv_window_ms: int
    target_order_id: int = 0
    engine_time_ms: int = 0
    rounds: int = 0
    negatives: tuple[Negative, ...] = field(default=())


def latest_signature_ms(sent_at_ms: int, timing: TimingSettings) -> int:
    """The request is signed after SENT_UNKNOWN is written and before the call's time is over."""
    return sent_at_ms + timing.mutation_timeout_ms


def engine_horizon_ms(case: Case, timing: TimingSettings) -> int:
    """Engine time after which the request can no longer be accepted."""
    return case.signed_ms + case.recv_window_ms + timing.engine_wait_ms


def fence_ms(case: Case, timing: TimingSettings) -> int:
    """Server time before which no read counts as a denial."""
    return engine_horizon_ms(case, timing) + timing.read_lag_ms


def probes_of(case: Case) -> tuple[Probe, ...]:
    """Every read that a denial needs: each alias by name, then the symbol as a whole.

    For a cancel: the order it aims at, by its number and among those that are open.
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
    """The reads of the next round: first those that have not denied behind the fence yet."""
    probes = probes_of(case)
    done = {negative.probe for negative in _behind_fence(case, timing)}
    open_probes = [probe for probe in probes if probe not in done] or list(probes)
    start = case.rounds * limit % len(open_probes) if not done else 0
    rotated = open_probes[start:] + open_probes[:start]
    return tuple(rotated[:limit])


def absence_proven(case: Case, timing: TimingSettings, *, now_server_ms: int) -> bool:
    """Whether the intent certainly had no effect and never will.

    Needs the fence behind us, an engine time beyond the request's horizon, and, all begun behind
    the fence, a negative read of every alias, of all orders and of the trades: at least three
    reads on at least two endpoints. An order that stood when the request could no longer be
    accepted was not cancelled by it and never will be.
    """
    if now_server_ms < fence_ms(case, timing):
        return False
    if case.engine_time_ms <= engine_horizon_ms(case, timing):
        return False
    counted = _behind_fence(case, timing)
    asked = {negative.probe for negative in counted}
    endpoints = {probe.endpoint for probe in asked}
    return (
        len(counted) >= MIN_NEGATIVE_READS
        and len(endpoints) >= MIN_ENDPOINTS
        and asked.issuperset(probes_of(case))
    )


def is_protective(role: IntentRole) -> bool:
    """Whether an intent of this role reduces risk and must never wait behind an unknown one."""
    return role not in (IntentRole.ENTRY, IntentRole.CANCEL)


def _behind_fence(case: Case, timing: TimingSettings) -> list[Negative]:
    fence = fence_ms(case, timing)
    return [negative for negative in case.negatives if negative.at_ms >= fence]
