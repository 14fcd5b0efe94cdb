"""What no decision, plan or verdict may say."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from livespot.contracts.vocabulary import DecisionIntent, TrailingMode, Verdict
from livespot.rules.risk import assess
from livespot.testing.market_values import a_snapshot
from livespot.testing.risk_values import a_view, an_entry, plans_of

_replace = msgspec.structs.replace
_DECISION = an_entry()
_ENTRY, _EXITS = plans_of(_DECISION)
_VERDICT = assess(_DECISION, a_snapshot(), a_view())
_BARE = _replace(_EXITS, trailing_mode=TrailingMode.OFF, trailing_trigger_price=Decimal(0))
_REFUSED: dict[str, tuple[msgspec.Struct, dict[str, Any], str]] = {
    "score-above": (_DECISION, {"edge_score_x10000": 10_001}, "within 0..10000"),
    "score-below": (_DECISION, {"edge_score_x10000": -1}, "within 0..10000"),
    "no-entry": (_DECISION, {"entry_plan": None}, "entry_plan=None: an entry needs one"),
    "no-exits": (_DECISION, {"exit_plan": None}, "exit_plan=None: an entry needs one"),
    "neither": (_DECISION, {"entry_plan": None, "exit_plan": None}, "an entry needs one"),
    "no-reasons": (_DECISION, {"reasons": ()}, "an entry says why"),
    "bare-managing": (
        _DECISION,
        {"intent": DecisionIntent.MANAGE, "exit_plan": None},
        "managing needs one",
    ),
    "entry-at-stop": (
        _DECISION,
        {"exit_plan": _replace(_EXITS, sl_price=_ENTRY.limit_price)},
        "sl < entry < tp",
    ),
    "no-life": (_ENTRY, {"ttl_ms": 0}, "needs a lifetime"),
    "no-reprice": (_ENTRY, {"max_reprices": 0}, "at least 1"),
    "no-qty": (_ENTRY, {"qty": Decimal(0)}, "qty=.*above zero"),
    "nan-price": (_ENTRY, {"limit_price": Decimal("NaN")}, "limit_price=.*above zero"),
    "crossed-exits": (_EXITS, {"sl_price": _EXITS.tp_price}, "must be below tp_price"),
    "infinite-target": (_EXITS, {"tp_price": Decimal("Infinity")}, "tp_price=.*finite"),
    "distance-without-trailing": (_BARE, {"trailing_distance_bps": 1}, "no trigger"),
    "trigger-without-trailing": (_BARE, {"trailing_trigger_price": Decimal(1)}, "no trigger"),
    "slippage-below": (_ENTRY.fallback, {"max_slippage_bps": -1}, ">= 0"),
    "deadline-below": (_ENTRY.fallback, {"deadline_ms": -1}, ">= 0"),
    "silent-block": (_VERDICT, {"verdict": Verdict.BLOCK, "reasons": ()}, "a block says why"),
    "allowed-nothing": (_VERDICT, {"approved_qty": Decimal(0)}, "approved_qty=.*above zero"),
}


@pytest.mark.parametrize(("whole", "changes", "problem"), _REFUSED.values(), ids=_REFUSED)
def test_a_broken_rule_is_refused_by_name(
    whole: msgspec.Struct, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        _replace(whole, **changes)


def test_only_an_entry_needs_plans_and_reasons() -> None:
    closing = _replace(
        _DECISION, intent=DecisionIntent.EXIT, entry_plan=None, exit_plan=None, reasons=()
    )

    assert closing.entry_plan is None
    assert _replace(closing, intent=DecisionIntent.MANAGE, exit_plan=_EXITS).reasons == ()
