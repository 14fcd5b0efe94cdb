"""Absence is proven behind the fence, by every read that could have seen it, or not at all."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.settings import TimingSettings
from livespot.contracts.vocabulary import Side
from livespot.rules.evidence import (
    Case,
    Endpoint,
    Negative,
    Probe,
    absence_proven,
    engine_horizon_ms,
    fence_ms,
    latest_signature_ms,
    next_probes,
    probes_of,
    steady_fence_ms,
)

TIMING = TimingSettings()
SENT_MS = 1_000_000
STEADY_FENCE = 5_000_000
CASE = Case(
    intent_id="oi_a",
    symbol="SOLUSDT",
    order_ids=("X_entry", "X_tp", "X_sl"),
    list_id="X_list",
    side=Side.BUY,
    qty=Decimal(1),
    signed_ms=SENT_MS,
    recv_window_ms=1500,
    steady_fence_ms=STEADY_FENCE,
    engine_time_ms=SENT_MS + 11_501,
)
FENCE = SENT_MS + 1500 + 10_000 + 60_000


def denied(probe: Probe, *, late_ms: int = 0, steady_late_ms: int = 0) -> Negative:
    """A read begun this long after the fence, by the server's clock and by the steady one."""
    return Negative(probe=probe, at_ms=FENCE + late_ms, steady_ms=STEADY_FENCE + steady_late_ms)


ALL = tuple(denied(probe) for probe in probes_of(CASE))


def test_the_fence_is_window_plus_engine_wait_plus_read_lag() -> None:
    assert fence_ms(CASE, TIMING) == FENCE


def test_the_signature_may_be_as_late_as_the_calls_own_limit() -> None:
    assert latest_signature_ms(SENT_MS, TIMING) == SENT_MS + 8000


def test_every_read_denied_behind_the_fence_proves_absence() -> None:
    assert absence_proven(replace(CASE, negatives=ALL), TIMING, now_server_ms=FENCE)


def test_reads_begun_before_the_fence_deny_nothing() -> None:
    early = tuple(replace(negative, at_ms=FENCE - 1) for negative in ALL)

    assert not absence_proven(replace(CASE, negatives=early), TIMING, now_server_ms=FENCE + 1)


def test_a_fence_passed_only_because_a_clock_was_set_denies_nothing() -> None:
    early = tuple(replace(negative, steady_ms=STEADY_FENCE - 1) for negative in ALL)

    assert not absence_proven(replace(CASE, negatives=early), TIMING, now_server_ms=FENCE + 1)


@given(now_ms=st.integers(0, 10**12), ago_ms=st.integers(0, 200_000))
def test_what_is_left_of_the_span_is_waited_for_by_the_steady_clock(
    now_ms: int, ago_ms: int
) -> None:
    fence = steady_fence_ms(now_ms, sent_ago_ms=ago_ms, recv_window_ms=1500, timing=TIMING)

    assert fence == now_ms + max(0, 8000 + 1500 + 10_000 + 60_000 - ago_ms)


def test_a_request_that_seems_to_come_from_the_future_is_given_the_whole_span() -> None:
    fence = steady_fence_ms(100, sent_ago_ms=-3_600_000, recv_window_ms=1500, timing=TIMING)

    assert fence == 100 + 79_500


def test_without_an_engine_time_beyond_the_horizon_nothing_is_proven() -> None:
    still = replace(CASE, negatives=ALL, engine_time_ms=engine_horizon_ms(CASE, TIMING))

    assert not absence_proven(still, TIMING, now_server_ms=FENCE + 1_000_000)


@given(st.sampled_from(ALL))
def test_any_single_missing_read_leaves_it_open(missing: Negative) -> None:
    rest = tuple(negative for negative in ALL if negative is not missing)

    assert not absence_proven(replace(CASE, negatives=rest), TIMING, now_server_ms=FENCE)


@given(st.lists(st.sampled_from(ALL)), st.integers(0, 200_000))
def test_proof_always_covers_every_alias_all_orders_and_trades(
    negatives: list[Negative], after_ms: int
) -> None:
    case = replace(CASE, negatives=tuple(negatives))
    proven = absence_proven(case, TIMING, now_server_ms=SENT_MS + after_ms)

    asked = {negative.probe for negative in negatives}
    assert proven == (after_ms >= 71_500 and asked >= set(probes_of(CASE)))


def test_rounds_ask_what_has_not_denied_yet() -> None:
    case, asked = CASE, set[Probe]()
    for _ in range(4):
        probes = next_probes(case, TIMING, limit=2)
        asked |= set(probes)
        case = replace(
            case,
            negatives=(*case.negatives, *(denied(probe) for probe in probes)),
            rounds=case.rounds + 1,
        )

    assert asked == set(probes_of(CASE))
    assert absence_proven(case, TIMING, now_server_ms=FENCE)


def test_early_rounds_walk_through_every_read() -> None:
    asked = {p for n in range(3) for p in next_probes(replace(CASE, rounds=n), TIMING, limit=3)}

    assert Probe(endpoint=Endpoint.ORDER, client_order_id="X_entry") in asked
    assert Probe(endpoint=Endpoint.ALL_ORDERS) in asked


CANCEL = replace(CASE, order_ids=(), list_id="", target_order_id=100)


def test_a_cancel_is_denied_by_its_order_alone_and_what_is_open() -> None:
    asked = [(probe.endpoint, probe.client_order_id) for probe in probes_of(CANCEL)]

    assert asked == [(Endpoint.ORDER, ""), (Endpoint.OPEN_ORDERS, "")]


@given(
    st.lists(st.sampled_from(probes_of(CANCEL)), max_size=5),
    st.integers(-5, 5),
    st.integers(-5, 5),
)
def test_a_cancel_needs_three_looks_at_its_order_from_two_places_behind_the_fence(
    looks: list[Probe], late_ms: int, steady_late_ms: int
) -> None:
    standing = tuple(denied(p, late_ms=late_ms, steady_late_ms=steady_late_ms) for p in looks)
    case = replace(CANCEL, negatives=standing)

    proven = absence_proven(case, TIMING, now_server_ms=FENCE + 10)

    behind = late_ms >= 0 and steady_late_ms >= 0
    assert proven == (behind and len(looks) >= 3 and len(set(looks)) == 2)


def test_the_rounds_of_a_cancel_go_on_until_there_are_three_looks() -> None:
    case = CANCEL
    for rounds in range(2):
        assert not absence_proven(case, TIMING, now_server_ms=FENCE)
        seen = [denied(probe) for probe in next_probes(case, TIMING, limit=2)]
        case = replace(case, negatives=(*case.negatives, *seen), rounds=rounds + 1)

    assert absence_proven(case, TIMING, now_server_ms=FENCE)
