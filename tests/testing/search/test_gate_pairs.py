"""A stop that waits for the model is found, in one pair and in many; a real pair shows none."""

from dataclasses import replace

import pytest

from livespot.exchange.journal import FillRow
from livespot.testing.search.gate_pairs import (
    SLACK_MS,
    Pair,
    first_bare,
    not_on_the_safety_path,
    pairs_of,
    plan_of,
    with_model,
)
from livespot.testing.search.witness import Witness


def pair(seed: int, later_ms: int) -> Pair:
    return Pair(seed=seed, model="dead", well_ms=40, ill_ms=40 + later_ms)


def test_one_stop_that_comes_much_later_with_an_ill_model_is_found() -> None:
    even = [pair(seed, later) for seed, later in enumerate((0, -1, 2, 0))]

    assert not_on_the_safety_path(even).proven
    assert not_on_the_safety_path([*even, pair(9, SLACK_MS)]).proven
    finding = not_on_the_safety_path([*even, pair(9, SLACK_MS + 1)])
    assert "seed 9: bare for 541 ms with a dead model, 40 ms" in finding.detail


def test_many_stops_that_come_a_little_later_are_found() -> None:
    """Nine of nine are chance at one in 512, ten of ten at one in 1024."""
    assert not_on_the_safety_path([pair(seed, 3) for seed in range(9)]).proven
    finding = not_on_the_safety_path([pair(seed, 3) for seed in range(10)])
    assert "slower in 10 of 10 pairs that differ" in finding.detail
    sooner = [pair(seed, -3) for seed in range(20)]
    assert not_on_the_safety_path(sooner).proven


def test_no_pair_proves_nothing() -> None:
    assert not not_on_the_safety_path([]).proven


def test_the_first_position_is_measured_from_its_fill_to_its_stop(witness: Witness) -> None:
    bare = first_bare(witness)
    unsold = tuple(row for row in witness.rows if not isinstance(row, FillRow))

    assert bare is not None
    assert bare[0] == "SOLUSDT"
    assert 0 <= bare[1] < 5000
    assert first_bare(replace(witness, rows=unsold)) is None


def test_an_ill_model_answers_its_first_question() -> None:
    (fault,) = with_model(plan_of(1), "slow").faults

    assert (fault.when.nth, fault.verb) == (2, "ai.delay")


@pytest.mark.slow
def test_a_position_gets_its_stop_as_soon_while_the_gate_waits_for_the_model() -> None:
    pairs = pairs_of(1, ["dead"])

    assert [pair.model for pair in pairs] == ["dead"]
    assert not_on_the_safety_path(pairs).proven
