"""Identifiers."""

import re

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts import ids
from livespot.contracts.codes import NUMBERS, ReasonCode

_NOW = 1_618_919_400_123


def test_client_order_ids_fit_the_exchanges_rule() -> None:
    made = ids.client_order_id("oi_" + "0" * 64)

    assert re.fullmatch(r"[A-Za-z0-9_-]{36}", made)
    assert ids.is_own_client_order_id(made)


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_intents_have_different_client_order_ids(one: str, other: str) -> None:
    same = ids.client_order_id(one) == ids.client_order_id(other)

    assert same == (one == other)


def test_run_and_cycle_ids_carry_their_utc_time() -> None:
    assert ids.run_id(_NOW, "a1b2c3") == "run_20210420_115000_a1b2c3"
    assert re.fullmatch(r"cyc_20210420_115000_123_[0-9a-f]{6}", ids.cycle_id("run_x", 7, _NOW))


def test_snapshot_ids_name_symbol_time_and_hash() -> None:
    assert ids.snapshot_id("SOLUSDT", _NOW, "f" * 64) == f"snap_SOLUSDT_{_NOW}_ffffffffffff"


def test_every_reason_code_has_one_number_of_its_own() -> None:
    assert set(NUMBERS) == set(ReasonCode)
    assert len(set(NUMBERS.values())) == len(NUMBERS)
