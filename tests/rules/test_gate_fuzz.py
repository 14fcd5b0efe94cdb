"""A hundred thousand answers, honest, clumsy and hostile: none makes a trade larger or looser."""

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision, EntryPlan, ExitPlan
from livespot.contracts.vocabulary import EntryKind, FallbackKind, TrailingMode
from livespot.rules.decision_ids import decision_id_of, identified
from livespot.rules.gate_answer import AnswerRefused, AnswerVerdict, parse_answer
from livespot.rules.gate_enforcement import PatchRefused, apply_patch
from livespot.testing.risk_values import a_bold_entry, an_entry, plans_of

_CONFIG = "c" * 64
_HASH = "a" * 64
_ANSWERS = 100_000
_replace = msgspec.structs.replace

# From the most patient to the most aggressive, written down here on their own.
_ENTRY_RANK = {EntryKind.MAKER_FIRST: 0, EntryKind.TAKER: 1, EntryKind.MARKET: 2}
_FALLBACK_RANK = {
    FallbackKind.CANCEL_AND_REPLACE: 0,
    FallbackKind.IOC_LIMIT: 1,
    FallbackKind.MARKET_IF_ALLOWED: 2,
}
_MAY_CHANGE = {
    "decision_id",
    "entry_plan",
    "exit_plan",
    "reasons",
    "sl_bps",
    "tp_bps",
    "edge_bps_expected",
    "breakeven_hit_x10000",
}


def _calm() -> Decision:
    """The usual proposal: maker first, trailing off, nothing left to soften in kind."""
    return identified(an_entry(), config_hash=_CONFIG)


def _assert_never_bolder(was: Decision, now: Decision) -> None:
    """The promise itself, member by member, without a word of the code that enforces it."""
    before, after = msgspec.structs.asdict(was), msgspec.structs.asdict(now)
    assert {name for name in before if before[name] != after[name]} <= _MAY_CHANGE
    (entry, exits), (entry_now, exits_now) = plans_of(was), plans_of(now)
    _assert_entry_never_bolder(entry, entry_now)
    _assert_exit_never_looser(entry, exits, exits_now)
    assert now.reasons[: len(was.reasons)] == was.reasons
    assert now.edge_bps_expected <= was.edge_bps_expected
    assert now.sl_bps <= was.sl_bps
    assert now.tp_bps <= was.tp_bps
    assert now.decision_id == decision_id_of(now, config_hash=_CONFIG)
    msgspec.convert(msgspec.to_builtins(now), Decision)


def _assert_entry_never_bolder(was: EntryPlan, now: EntryPlan) -> None:
    assert 0 < now.qty <= was.qty
    assert (now.limit_price, now.desired_price) == (was.limit_price, was.desired_price)
    assert _ENTRY_RANK[now.kind] <= _ENTRY_RANK[was.kind]
    assert 0 < now.ttl_ms <= was.ttl_ms
    assert now.reprice_ms >= was.reprice_ms
    assert 0 <= now.max_reprices <= was.max_reprices
    assert now.fallback.enabled <= was.fallback.enabled
    assert _FALLBACK_RANK[now.fallback.kind] <= _FALLBACK_RANK[was.fallback.kind]
    assert 0 <= now.fallback.max_slippage_bps <= was.fallback.max_slippage_bps
    assert 0 <= now.fallback.deadline_ms <= was.fallback.deadline_ms


def _assert_exit_never_looser(entry: EntryPlan, was: ExitPlan, now: ExitPlan) -> None:
    assert was.sl_price <= now.sl_price < entry.limit_price
    assert entry.limit_price < now.tp_price <= was.tp_price
    assert (now.protection_kind, now.trailing_mode) == (was.protection_kind, was.trailing_mode)
    assert now.trailing_distance_bps <= was.trailing_distance_bps
    assert now.trailing_trigger_price <= was.trailing_trigger_price
    if was.trailing_mode is not TrailingMode.OFF:
        assert now.trailing_distance_bps > 0
        assert now.trailing_trigger_price >= entry.limit_price


def _amount(draw: Random, near: Decimal) -> Any:
    """A decimal text around a value, or something that only looks like one."""
    if draw.random() < 0.1:
        odd = ["0", "-1", "1e3", "NaN", "", " 1", "1\n", "\u0663", "0x10", "9" * 25]
        return draw.choice([*odd, float(near), None])
    step = Decimal(draw.randint(-300, 300)) / 10000
    moved = (near * (1 + step)).quantize(Decimal("0.0001"))
    return str(draw.choice([moved, near, near + Decimal(draw.randint(-5, 5)) / 100]))


def _whole(draw: Random, near: int) -> Any:
    if draw.random() < 0.1:
        return draw.choice([-1, 10**30, "5", 1.5, True, None])
    return draw.choice([near + draw.randint(-3, 3), draw.randint(0, 2 * near + 1)])


def _some(draw: Random, members: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """A random few of these members."""
    chosen = draw.sample(sorted(members), draw.randint(1, min(3, len(members))))
    return {name: members[name]() for name in chosen}


def _patch(draw: Random, decision: Decision) -> Any:
    entry, exits = plans_of(decision)
    fallback: dict[str, Callable[[], Any]] = {
        "enabled": lambda: draw.choice([False, True, None, "false"]),
        "kind": lambda: draw.choice([*FallbackKind, "IOC", None]),
        "max_slippage_bps": lambda: _whole(draw, entry.fallback.max_slippage_bps),
        "deadline_ms": lambda: _whole(draw, entry.fallback.deadline_ms),
    }
    of_entry: dict[str, Callable[[], Any]] = {
        "qty": lambda: _amount(draw, entry.qty),
        "kind": lambda: draw.choice([*EntryKind, "MAKER", None]),
        "ttl_ms": lambda: _whole(draw, entry.ttl_ms),
        "reprice_ms": lambda: _whole(draw, entry.reprice_ms),
        "max_reprices": lambda: _whole(draw, entry.max_reprices),
        "fallback": lambda: _some(draw, fallback),
    }
    if draw.random() < 0.05:
        of_entry["limit_price"] = lambda: _amount(draw, entry.limit_price)
    of_exit: dict[str, Callable[[], Any]] = {
        "sl_price": lambda: _amount(draw, exits.sl_price),
        "tp_price": lambda: _amount(draw, exits.tp_price),
        "trailing_distance_bps": lambda: _whole(draw, exits.trailing_distance_bps),
        "trailing_trigger_price": lambda: _amount(draw, exits.trailing_trigger_price),
    }
    if draw.random() < 0.05:
        of_exit["protection_kind"] = lambda: "TP_SL_SEPARATE"
    whole: dict[str, Callable[[], Any]] = {
        "entry_plan": lambda: _some(draw, of_entry),
        "exit_plan": lambda: _some(draw, of_exit),
        "reasons": lambda: [
            *decision.reasons,
            draw.choice(["SPREAD_OPENING", "REGIME_WEAK", "NO_CODE"]),
        ],
        "symbol": lambda: "BTCUSDT",
    }
    # The forbidden members are rare, else every patch would fail for the same dull reason.
    names = ["entry_plan", "exit_plan", "entry_plan", "exit_plan", "reasons"]
    chosen = set(draw.sample(names, draw.randint(1, 2)))
    if draw.random() < 0.03:
        chosen.add("symbol")
    return {name: whole[name]() for name in sorted(chosen)}


_VERDICTS = ("ALLOW", "BLOCK", "MODIFY", "MODIFY", "MODIFY", "allow", "АLLOW", "ERROR", "")  # noqa: RUF001  the look-alike is the point


def _text(draw: Random, decision: Decision) -> bytes:
    verdict = draw.choice(_VERDICTS) if draw.random() < 0.3 else "MODIFY"
    body: dict[str, Any] = {
        "verdict": verdict,
        "reasons": [draw.choice(["SPREAD_OPENING", "AIGATE_MODIFIED", "REGIME_WEAK"])],
        "input_hash": _HASH if draw.random() < 0.97 else "b" * 64,
        "modified_decision": _patch(draw, decision) if verdict == "MODIFY" else None,
    }
    if draw.random() < 0.02:
        del body[draw.choice(sorted(body))]
    raw = json.dumps(body, ensure_ascii=draw.random() < 0.5)
    return _disturbed(draw, raw) if draw.random() < 0.2 else raw.encode()


def _disturbed(draw: Random, raw: str) -> bytes:
    """The same text after an accident, or after somebody tried something."""
    at = draw.randrange(len(raw))
    data = raw.encode()
    flipped = bytearray(data)
    flipped[draw.randrange(len(data))] = draw.randrange(256)
    return draw.choice(
        [
            bytes(flipped),
            data[:at],
            (raw[:-1] + ', "modified_decision": {"entry_plan": {"qty": "999"}}}').encode(),
            raw.replace('"qty": "', '"qty": "9').encode(),
            raw.replace(": ", ": -", 1).encode(),
            raw.replace("}", "}" * draw.randint(1, 9), 1).encode(),
            b"\xef\xbb\xbf" + data,
            b"```json\n" + data + b"\n```",
            data + b" " * draw.randint(1, 5000),
            raw.replace("null", draw.choice(["NaN", "Infinity", "1e999", "[[[[[]]]]]"])).encode(),
        ]
    )


@pytest.mark.slow
def test_no_answer_ever_makes_a_trade_larger_looser_or_more_aggressive() -> None:
    draw = Random(20261121)  # noqa: S311  the same answers in every run
    proposals = (a_bold_entry(_CONFIG), _calm())
    seen: Counter[str] = Counter()
    for _ in range(_ANSWERS):
        proposal = draw.choice(proposals)
        answer = parse_answer(_text(draw, proposal), input_hash=_HASH)
        if isinstance(answer, AnswerRefused):
            seen[answer.code.value] += 1
            continue
        seen[answer.verdict.value] += 1
        if answer.verdict is not AnswerVerdict.MODIFY:
            continue
        assert answer.modified_decision is not None
        changed = apply_patch(proposal, answer.modified_decision, config_hash=_CONFIG)
        if isinstance(changed, PatchRefused):
            seen["refused"] += 1
            continue
        seen["applied"] += 1
        _assert_never_bolder(proposal, changed)

    # Each way an answer can end was met often, so that nothing above was proved about nothing.
    for outcome in ("applied", "refused", "ALLOW", "BLOCK"):
        assert seen[outcome] > 1000, seen
    for code in (
        ReasonCode.AIGATE_PARSE_FAIL,
        ReasonCode.AIGATE_SCHEMA_INVALID,
        ReasonCode.AIGATE_REASON_UNKNOWN,
    ):
        assert seen[code.value] > 1000, seen
