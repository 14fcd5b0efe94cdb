"""The request budget follows the exchange's minute, its counters and its silences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.errors import Throttled
from livespot.contracts.venue import BanState
from livespot.testing.clock import ManualClock
from livespot.venue.weights import BudgetSpent, Priority, RateLimit, WeightBudget

_MINUTE = 1_700_000_040_000


def _budget(limit: int = 100) -> tuple[ManualClock, WeightBudget]:
    clock = ManualClock(_MINUTE)
    return clock, WeightBudget(clock.now_ms, weight_limit=limit)


@pytest.mark.parametrize(
    ("priority", "ceiling"),
    [
        (Priority.SCAN, 80),
        (Priority.ENTRY, 95),
        (Priority.QUERY, 95),
        (Priority.PROTECTION, 100),
    ],
)
def test_each_priority_stops_at_its_own_share(priority: Priority, ceiling: int) -> None:
    _, budget = _budget()

    for _ in range(ceiling):
        budget.spend(1, priority)

    with pytest.raises(BudgetSpent) as caught:
        budget.spend(1, priority)
    assert budget.used_weight == ceiling
    assert caught.value.retry_after_ms == 60_000


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(Priority)), max_size=60))
def test_spending_never_passes_the_ceiling_of_who_spends(
    spends: list[tuple[int, Priority]],
) -> None:
    _, budget = _budget()
    ceilings = {Priority.SCAN: 80, Priority.ENTRY: 95, Priority.QUERY: 95, Priority.PROTECTION: 100}

    for weight, priority in spends:
        before = budget.used_weight
        try:
            budget.spend(weight, priority)
        except BudgetSpent:
            assert before + weight > ceilings[priority]
            assert budget.used_weight == before
        else:
            assert budget.used_weight == before + weight <= ceilings[priority]


def test_the_next_minute_starts_empty() -> None:
    clock, budget = _budget()
    budget.spend(80, Priority.SCAN)

    clock.advance(60_000)

    budget.spend(80, Priority.SCAN)
    assert budget.used_weight == 80


@given(st.lists(st.integers(0, 200), max_size=20))
def test_headers_only_ever_raise_the_count_within_a_minute(counts: list[int]) -> None:
    _, budget = _budget(1000)
    window = budget.spend(10, Priority.QUERY)

    for count in counts:
        budget.observe({"x-mbx-used-weight-1m": str(count)}, window)

    assert budget.used_weight == max([10, *counts])


def test_a_weight_that_arrives_after_the_minute_turned_is_ignored() -> None:
    clock, budget = _budget()
    window = budget.spend(1, Priority.QUERY)

    clock.advance(60_000)
    budget.observe({"x-mbx-used-weight-1m": "99"}, window)

    assert budget.used_weight == 0


def test_order_counts_are_the_worst_running_window_in_percent() -> None:
    clock, budget = _budget()
    budget.adopt(
        [
            RateLimit(kind="ORDERS", interval_ms=10_000, limit=50),
            RateLimit(kind="ORDERS", interval_ms=86_400_000, limit=160_000),
            RateLimit(kind="REQUEST_WEIGHT", interval_ms=60_000, limit=1200),
        ]
    )

    budget.observe({"x-mbx-order-count-10s": "40", "x-mbx-order-count-1d": "16000"}, 0)

    assert budget.weight_limit == 1200
    assert budget.unfilled_orders_pct == 80
    clock.advance(10_000)
    assert budget.unfilled_orders_pct == 10


def test_a_silence_holds_back_everybody_and_then_lets_protection_go_first() -> None:
    clock, budget = _budget()
    budget.silence(Throttled(retry_after_ms=37_000, banned=False))

    for priority in Priority:
        with pytest.raises(Throttled):
            budget.spend(1, priority)
    clock.advance(37_000)
    with pytest.raises(BudgetSpent):
        budget.spend(1, Priority.QUERY)

    budget.spend(1, Priority.PROTECTION)
    clock.advance(500)
    budget.spend(1, Priority.QUERY)


def test_the_order_count_silence_lets_cancels_and_queries_pass() -> None:
    clock, budget = _budget()
    budget.silence(Throttled(retry_after_ms=8_000, banned=False, orders_only=True))

    budget.spend(1, Priority.PROTECTION)
    with pytest.raises(Throttled):
        budget.spend(1, Priority.PROTECTION, places_orders=True)

    clock.advance(8_000)
    budget.spend(1, Priority.ENTRY, places_orders=True)


def test_a_ban_survives_the_process_and_is_never_shortened() -> None:
    clock, budget = _budget()
    budget.silence(Throttled(retry_after_ms=600_000, banned=True))
    _, later = _budget()

    later.restore(budget.bans)
    later.restore(BanState(banned_until_ms=1))
    later.silence(Throttled(retry_after_ms=1_000, banned=True))

    with pytest.raises(Throttled) as caught:
        later.spend(1, Priority.PROTECTION)
    assert caught.value.banned
    assert caught.value.retry_after_ms == 600_000
    assert budget.bans.banned_until_ms == clock.now_ms() + 600_000
