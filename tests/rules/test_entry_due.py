"""The instant named beforehand against a walk that tells the engine of every tenth of a second."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import EntrySettings
from livespot.contracts.vocabulary import OrderType
from livespot.rules import entry_engine as engine
from livespot.rules.due import NEVER
from livespot.rules.entry_due import due_ms
from livespot.rules.entry_engine import EntryState, Phase
from livespot.rules.entry_state import Replaced
from livespot.testing.entry_bench import PLAN, QTY, T0

_STEP_MS = 100
_STEPS = 600
_SETTINGS = EntrySettings()
# Set or not, in the past or to come, within the span that is walked.
_INSTANTS = st.integers(T0 - 5_000, T0 + 40_000)
_SETTABLE = st.one_of(st.just(0), _INSTANTS)

_OLD = st.builds(
    Replaced,
    attempt=st.just(0),
    order_id=st.just(1),
    qty=st.just(QTY),
    placed_ms=_INSTANTS,
    over=st.booleans(),
    executed=st.sampled_from([Decimal(0), Decimal(1)]),
    asked_ms=_SETTABLE,
)
_STATES = st.builds(
    EntryState,
    plan=st.just(PLAN),
    qty=st.just(QTY),
    approved_ms=_INSTANTS,
    phase=st.sampled_from(Phase),
    attempt=st.integers(0, 3),
    order_type=st.sampled_from([OrderType.LIMIT_MAKER, OrderType.LIMIT]),
    order_id=st.integers(0, 2),
    executed=st.sampled_from([Decimal(0), Decimal(1)]),
    first_placed_ms=_INSTANTS,
    placed_ms=_INSTANTS,
    protectable_ms=_SETTABLE,
    next_ms=_SETTABLE,
    recancel_ms=_SETTABLE,
    cancel_tries=st.integers(0, 6),
    partial=st.booleans(),
    reads=st.integers(0, 6),
    used_fallback=st.booleans(),
    halt=st.sampled_from([None, ReasonCode.OPERATOR_STOP]),
    replaces=st.booleans(),
    old=st.none() | _OLD,
)


def _first_act_ms(state: EntryState) -> int:
    """The first step at which a tick changes the entry or asks for something."""
    for step in range(_STEPS):
        now_ms = T0 + step * _STEP_MS
        moved, commands = engine.advance(state, engine.Ticked(), now_ms=now_ms, settings=_SETTINGS)
        if commands or moved != state:
            return now_ms
    return NEVER


@given(state=_STATES)
def test_a_tick_does_something_from_the_named_instant_on_and_not_before(state: EntryState) -> None:
    due = due_ms(state, _SETTINGS)

    first = _first_act_ms(state)

    if first is NEVER:
        assert due > T0 + (_STEPS - 1) * _STEP_MS
    else:
        assert first - _STEP_MS < max(due, T0) <= first


@given(state=_STATES)
def test_an_entry_that_was_served_names_a_later_instant(state: EntryState) -> None:
    first = _first_act_ms(state)
    if first is NEVER:
        return

    moved, _ = engine.advance(state, engine.Ticked(), now_ms=first, settings=_SETTINGS)

    assert due_ms(moved, _SETTINGS) > first


def test_a_protectable_part_is_not_cut_short_by_the_ttl() -> None:
    state = EntryState(
        plan=PLAN, qty=QTY, approved_ms=T0, phase=Phase.WORKING, placed_ms=T0, order_id=1
    )
    grace_ms = _SETTINGS.partial_fill_grace_ms

    assert due_ms(state, _SETTINGS) == T0 + PLAN.ttl_ms
    part = replace(state, protectable_ms=T0 + PLAN.ttl_ms - 1)
    assert due_ms(part, _SETTINGS) == T0 + PLAN.ttl_ms - 1 + grace_ms
