from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.vocabulary import EntryKind, FallbackKind, TimeInForce
from livespot.rules.decision_ids import decision_id_of
from livespot.rules.gate_answer import Patch
from livespot.rules.gate_enforcement import PatchRefused, apply_patch
from livespot.testing.risk_values import a_bold_entry, an_entry, plans_of

_replace = msgspec.structs.replace
_CONFIG = "c" * 64


_BOLD = a_bold_entry(_CONFIG)
_ENTRY, _EXITS = plans_of(_BOLD)


def _apply(patch: dict[str, Any], decision: Decision = _BOLD) -> Decision | PatchRefused:
    return apply_patch(decision, msgspec.convert(patch, Patch), config_hash=_CONFIG)


_REDUCING = [
    {"entry_plan": {"qty": "1.2345"}},
    {"entry_plan": {"kind": "TAKER"}},
    {"entry_plan": {"kind": "MAKER_FIRST"}},
    {"entry_plan": {"max_reprices": 1}},
    {"entry_plan": {"ttl_ms": 29_999}},
    {"entry_plan": {"reprice_ms": 30_001}},
    {"entry_plan": {"fallback": {"enabled": False}}},
    {"entry_plan": {"fallback": {"kind": "IOC_LIMIT"}}},
    {"entry_plan": {"fallback": {"kind": "CANCEL_AND_REPLACE"}}},
    {"entry_plan": {"fallback": {"max_slippage_bps": 24}}},
    {"entry_plan": {"fallback": {"deadline_ms": 1}}},
    {"exit_plan": {"sl_price": "99.00"}},
    {"exit_plan": {"tp_price": "101.00"}},
    {"exit_plan": {"trailing_distance_bps": 99}},
    {"exit_plan": {"trailing_trigger_price": "100.49"}},
    {"reasons": [*_BOLD.reasons, "SPREAD_OPENING"]},
]


@pytest.mark.parametrize("patch", _REDUCING, ids=str)
def test_a_reduction_is_applied_under_new_ids(patch: dict[str, Any]) -> None:
    changed = _apply(patch)

    assert isinstance(changed, Decision)
    assert changed.decision_id != _BOLD.decision_id
    assert changed.decision_id == decision_id_of(changed, config_hash=_CONFIG)
    if "qty" in str(patch) or "price': '" in str(patch).replace("trigger_price", ""):
        assert plans_of(changed)[0].client_order_id != _ENTRY.client_order_id


@pytest.mark.parametrize(
    "patch",
    [
        {"entry_plan": {"qty": "2.006"}},
        {"entry_plan": {"qty": "3"}},
        {"entry_plan": {"qty": "0.0001"}},
        {"entry_plan": {"qty": "0.050"}},
        {"entry_plan": {"kind": "MARKET"}},
        {"entry_plan": {"max_reprices": 2}},
        {"entry_plan": {"max_reprices": 3}},
        {"entry_plan": {"ttl_ms": 30_000}},
        {"entry_plan": {"ttl_ms": 0}},
        {"entry_plan": {"reprice_ms": 30_000}},
        {"entry_plan": {"fallback": {"enabled": True}}},
        {"entry_plan": {"fallback": {"kind": "MARKET_IF_ALLOWED"}}},
        {"entry_plan": {"fallback": {"max_slippage_bps": 25}}},
        {"entry_plan": {"fallback": {"deadline_ms": 604_800_000}}},
        {"exit_plan": {"sl_price": str(_EXITS.sl_price)}},
        {"exit_plan": {"sl_price": "90"}},
        {"exit_plan": {"sl_price": "99.69"}},
        {"exit_plan": {"tp_price": str(_EXITS.tp_price)}},
        {"exit_plan": {"tp_price": "999"}},
        {"exit_plan": {"tp_price": "99.69"}},
        {"exit_plan": {"trailing_distance_bps": 100}},
        {"exit_plan": {"trailing_distance_bps": 0}},
        {"exit_plan": {"trailing_trigger_price": "100.51"}},
        {"exit_plan": {"trailing_trigger_price": "99.60"}},
        {"reasons": ["SPREAD_OPENING"]},
        {"reasons": list(_BOLD.reasons)},
        {"entry_plan": {"kind": "MAKER_FIRST", "max_reprices": 0}},
    ],
    ids=str,
)
def test_anything_that_does_not_reduce_refuses_the_whole_patch(patch: dict[str, Any]) -> None:
    assert isinstance(_apply(patch), PatchRefused)


def test_trailing_that_is_off_cannot_be_tuned() -> None:
    calm = an_entry()

    assert isinstance(_apply({"exit_plan": {"trailing_distance_bps": 1}}, calm), PatchRefused)


def test_one_bad_field_refuses_the_good_ones_too() -> None:
    patch = {"entry_plan": {"qty": "1"}, "exit_plan": {"tp_price": "999"}}

    refused = _apply(patch)

    assert refused == PatchRefused(field="tp_price", rule="may only be lowered, above the entry")


def test_distances_and_margin_follow_the_prices() -> None:
    changed = _apply({"exit_plan": {"sl_price": "99.00", "tp_price": "101.00"}})

    assert isinstance(changed, Decision)
    # (99.69 - 99) / 99.69 is 69.2 bps, (101 - 99.69) / 99.69 is 131.4; the cost stays 12.
    assert (changed.sl_bps, changed.tp_bps) == (69, 131)
    assert _BOLD.edge_bps_expected == 38
    assert changed.edge_bps_expected == 38
    lower = _apply({"exit_plan": {"tp_price": "101.50"}})
    assert isinstance(lower, Decision)
    assert lower.edge_bps_expected == 181 - 150 - 12


def test_a_patient_kind_gets_the_time_in_force_that_rests() -> None:
    changed = _apply({"entry_plan": {"kind": "MAKER_FIRST"}})

    assert isinstance(changed, Decision)
    assert plans_of(changed)[0].time_in_force is TimeInForce.GTC


_AMOUNTS = st.decimals(min_value=0, max_value=200, places=4).map(lambda value: format(value, "f"))
_WHOLES = st.integers(0, 70_000)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_PATCHES = _some(
    entry_plan=_some(
        kind=st.sampled_from([kind.value for kind in EntryKind]),
        qty=_AMOUNTS | st.sampled_from(["1.5", "0.7", "2.005"]),
        ttl_ms=_WHOLES,
        reprice_ms=_WHOLES,
        max_reprices=st.integers(0, 4),
        fallback=_some(
            enabled=st.booleans(),
            kind=st.sampled_from([kind.value for kind in FallbackKind]),
            max_slippage_bps=st.integers(0, 50),
            deadline_ms=_WHOLES,
        ),
    ),
    exit_plan=_some(
        tp_price=_AMOUNTS | st.sampled_from(["100.5", "101.2"]),
        sl_price=_AMOUNTS | st.sampled_from(["98.9", "99.3"]),
        trailing_trigger_price=_AMOUNTS | st.just("100.2"),
        trailing_distance_bps=st.integers(0, 200),
    ),
    reasons=st.lists(st.sampled_from(ReasonCode), max_size=3).map(
        lambda extra: [*_BOLD.reasons, *extra]
    ),
)


# A hundred thousand answers go the whole way through the parser in `test_gate_fuzz.py`.
@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(_PATCHES)
def test_no_patch_makes_a_trade_larger_looser_or_more_aggressive(patch: dict[str, Any]) -> None:
    changed = _apply(patch)

    if isinstance(changed, PatchRefused):
        return
    entry, exits = plans_of(changed)
    kinds, fallbacks = list(EntryKind), list(FallbackKind)
    assert entry.qty <= _ENTRY.qty
    assert kinds.index(entry.kind) <= kinds.index(_ENTRY.kind)
    assert entry.ttl_ms <= _ENTRY.ttl_ms
    assert entry.max_reprices <= _ENTRY.max_reprices
    assert entry.reprice_ms >= _ENTRY.reprice_ms
    assert entry.fallback.enabled <= _ENTRY.fallback.enabled
    assert fallbacks.index(entry.fallback.kind) <= fallbacks.index(_ENTRY.fallback.kind)
    assert entry.fallback.max_slippage_bps <= _ENTRY.fallback.max_slippage_bps
    assert entry.fallback.deadline_ms <= _ENTRY.fallback.deadline_ms
    assert _EXITS.sl_price <= exits.sl_price < entry.limit_price < exits.tp_price
    assert exits.tp_price <= _EXITS.tp_price
    assert exits.trailing_distance_bps <= _EXITS.trailing_distance_bps
    assert entry.limit_price <= exits.trailing_trigger_price <= _EXITS.trailing_trigger_price
    assert changed.sl_bps <= _BOLD.sl_bps
    assert changed.tp_bps <= _BOLD.tp_bps
    assert changed.edge_bps_expected <= _BOLD.edge_bps_expected
    assert set(changed.reasons) >= set(_BOLD.reasons)
    assert _untouched(changed) == _untouched(_BOLD)


def _untouched(decision: Decision) -> tuple[Any, ...]:
    entry, exits = plans_of(decision)
    return (
        decision.mode,
        decision.symbol,
        decision.side,
        decision.intent,
        decision.snapshot_hash,
        decision.constraints,
        decision.cycle_id,
        entry.limit_price,
        entry.desired_price,
        exits.protection_kind,
        exits.trailing_mode,
    )
