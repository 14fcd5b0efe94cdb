"""What risk refuses before the gate is asked, it would refuse after any answer of the gate."""

import inspect
import re
from decimal import Decimal

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import Settings, StrategySettings
from livespot.contracts.vocabulary import EntryKind, GateVerdict, SysMode, Verdict
from livespot.rules import risk
from livespot.rules.foregone import is_foregone
from livespot.rules.gate_answer import EntryPatch, ExitPatch, FallbackPatch, Patch
from livespot.rules.gate_enforcement import PatchRefused, apply_patch
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.reserves import reserved
from livespot.rules.risk import RiskView, assess
from livespot.rules.risk_counters import Counters, HeldLot, SymbolCounters
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol
from livespot.testing.risk_values import TODAY, a_gate_result, a_view, an_entry

Code = ReasonCode
_SNAPSHOT = a_snapshot()
_PROPOSED = msgspec.structs.replace(an_entry(_SNAPSHOT), ai_gate=None)
_ROOM = frozenset({Code.RISK_EXPOSURE_LIMIT, Code.RISK_INSUFFICIENT_FREE_BALANCE})
_LIFTABLE = frozenset(
    {
        Code.AIGATE_BLOCKED,
        Code.STRAT_EXIT_INVALID,
        Code.RISK_SIZE_INVALID,
        Code.PROTECTION_INVALID_MIN_NOTIONAL,
    }
)

_AROUND_NOW = st.sampled_from([0, NOW_MS - 1, NOW_MS + 1])
_mine = st.builds(
    SymbolCounters,
    held=st.sampled_from([None, None, HeldLot(decision_id="d", qty=Decimal(1))]),
    cooldown_until_ms=_AROUND_NOW,
    trades_ms=st.sampled_from([(), (NOW_MS,) * 3]),
    streak_until_ms=_AROUND_NOW,
    churn_until_ms=_AROUND_NOW,
    churn_reasons=st.just((Code.RISK_CANCEL_REPLACE_LIMIT_HIT, Code.RISK_CHURN_LIMIT_HIT)),
)
_counters = st.builds(
    Counters,
    day=st.just(TODAY),
    trades_today=st.sampled_from([0, 19, 20]),
    realised_today=st.sampled_from([Decimal(0), Decimal(-500)]),
    fired=st.sampled_from([(), (Code.RISK_DRAWDOWN_LIMIT,)]),
    symbols=_mine.map(lambda mine: {"SOLUSDT": mine}),
)
_books = st.lists(
    st.tuples(st.sampled_from(["SOLUSDT", "AUSDT", "BUSDT"]), st.integers(1, 500)),
    unique_by=lambda pair: pair[0],
).map(
    lambda pairs: {
        f"dec_{symbol}": reserved(
            f"dec_{symbol}", symbol, Decimal(quote), expires_at_ms=NOW_MS + 60_000
        )
        for symbol, quote in pairs
    }
)


@st.composite
def _views(draw: st.DrawFn) -> RiskView:
    """An account in which any number of limits may stand, often one alone."""
    changes = {
        "settings": st.just(Settings(strategy=StrategySettings(min_edge_bps=100))),
        "sysmode": st.sampled_from(list(SysMode)),
        "now_ms": st.sampled_from([NOW_MS, NOW_MS + 15_001]),
        "counters": _counters,
        "book": _books,
        "free_quote": st.decimals("0", "300", places=2),
        "faults": st.just(SymbolFaults(symbol="SOLUSDT", until_ms=NOW_MS + 1)),
        "info": st.sampled_from([None, a_symbol(status="HALT"), a_symbol(order_types=("LIMIT",))]),
        "latency_p90_ms": st.just(1001),
        "unfilled_orders_pct": st.just(95),
        "manual_exposure": st.just(True),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(changes)), max_size=2, unique=True))
    return a_view(before_gate=True, **{name: draw(changes[name]) for name in chosen})


def _cents(lowest: str, highest: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.decimals(lowest, highest, places=2).map(str)


_patches = st.builds(
    Patch,
    entry_plan=st.none()
    | st.builds(
        EntryPatch,
        kind=st.sampled_from([None, EntryKind.MAKER_FIRST]),
        qty=_cents("0.05", "2.00"),
        ttl_ms=st.none() | st.integers(1, 29_999),
        max_reprices=st.none() | st.integers(0, 1),
        fallback=st.none()
        | st.builds(FallbackPatch, max_slippage_bps=st.none() | st.integers(0, 24)),
    ),
    exit_plan=st.none()
    | st.builds(ExitPatch, sl_price=_cents("98.00", "99.68"), tp_price=_cents("99.70", "102.00")),
)


@given(_views(), _patches, st.sampled_from([GateVerdict.ALLOW, GateVerdict.MODIFY]))
def test_no_answer_of_the_gate_turns_a_foregone_refusal(
    view: RiskView, patch: Patch, said: GateVerdict
) -> None:
    foreseen = assess(_PROPOSED, _SNAPSHOT, view)
    assume(is_foregone(foreseen))
    if not frozenset(foreseen.reasons) - _LIFTABLE - _ROOM:
        # Hardly any room is left: only a nearer stop could make so small an order protectable.
        assume(patch.exit_plan is None or patch.exit_plan.sl_price is None)
    answered = _PROPOSED
    if not patch.is_empty:
        changed = apply_patch(_PROPOSED, patch, config_hash=_SNAPSHOT.config_hash)
        assume(not isinstance(changed, PatchRefused))
        assert not isinstance(changed, PatchRefused)
        answered = changed
    gated = msgspec.structs.replace(answered, ai_gate=a_gate_result(verdict=said))

    verdict = assess(gated, _SNAPSHOT, msgspec.structs.replace(view, before_gate=False))

    assert verdict.verdict is Verdict.BLOCK
    kept = frozenset(foreseen.reasons) - _LIFTABLE - _ROOM
    assert kept <= frozenset(verdict.reasons)


@given(_views())
def test_before_the_gate_risk_names_what_it_would_name_after_an_unchanged_answer(
    view: RiskView,
) -> None:
    allowed = msgspec.structs.replace(_PROPOSED, ai_gate=a_gate_result())
    after = msgspec.structs.replace(view, before_gate=False)

    assert assess(_PROPOSED, _SNAPSHOT, view) == assess(allowed, _SNAPSHOT, after)


def test_an_entry_that_risk_would_let_through_is_not_foregone() -> None:
    assert not is_foregone(assess(_PROPOSED, _SNAPSHOT, a_view(before_gate=True)))


def test_of_each_code_risk_can_give_it_is_settled_whether_the_gate_can_lift_it() -> None:
    notes = {Code.RISK_OK, Code.RISK_SIZE_CAPPED}
    churn = {Code.RISK_CHURN_LIMIT_HIT, Code.RISK_CANCEL_REPLACE_LIMIT_HIT}
    named = {ReasonCode(name) for name in re.findall(r"ReasonCode\.(\w+)", inspect.getsource(risk))}
    blocked = assess(_PROPOSED, _SNAPSHOT, a_view())

    lifted = {
        code
        for code in named | churn
        if not is_foregone(msgspec.structs.replace(blocked, reasons=(code,)))
    }

    assert lifted == notes | _LIFTABLE
