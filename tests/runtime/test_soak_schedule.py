"""A soak's faults come one after another, and every schedule is a plan the exchange takes."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from livespot.exchange.faults.loader import plan_of
from livespot.runtime.soak_schedule import schedule

_SPANS = st.integers(min_value=1_000, max_value=4 * 3_600_000)
_STEPS = st.integers(min_value=120_000, max_value=3_600_000)


@given(span_ms=_SPANS, every_ms=_STEPS)
def test_every_schedule_is_a_plan_the_exchange_takes(span_ms: int, every_ms: int) -> None:
    plan = schedule(span_ms, every_ms, seed=3)

    assert plan_of(msgspec.json.decode(msgspec.json.encode(plan))) == plan


@given(span_ms=_SPANS, every_ms=_STEPS)
def test_the_first_and_the_last_part_are_quiet(span_ms: int, every_ms: int) -> None:
    plan = schedule(span_ms, every_ms, seed=3)

    begins = [fault.when.after_ms or 0 for fault in plan.faults]
    assert begins == sorted(set(begins))
    assert all(every_ms <= begin < span_ms - every_ms for begin in begins)
    if begins:
        assert plan.heal_after_ms == span_ms - every_ms


def test_an_hour_holds_every_kind_of_fault() -> None:
    kinds = {fault.id.split("-", 1)[1] for fault in schedule(3_600_000, 300_000, seed=1).faults}

    assert len(kinds) == 8
    assert "order-answer-lost" in kinds
