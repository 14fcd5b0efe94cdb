"""What is stored of a verdict is everything it was reached from."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import IntentRole, Side, SysMode
from livespot.rules import pnl, reserves, risk_counters
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.risk import RiskView, assess
from livespot.rules.risk_counters import Counters
from livespot.rules.verdict_inputs import (
    AccountSeen,
    Circumstances,
    VerdictInputs,
    inputs_of,
    read_inputs,
    view_of,
)
from livespot.testing.market_values import NOW_MS, a_snapshot
from livespot.testing.risk_values import TODAY, a_trade, a_view, an_entry

_SETTINGS = Settings()
_SNAPSHOT = a_snapshot(_SETTINGS)
_ENTRY = an_entry(_SNAPSHOT)


def _stored(inputs: VerdictInputs) -> VerdictInputs:
    """Through text and back, as on another machine."""
    parts = (inputs.account, inputs.counters, inputs.circumstances)
    return read_inputs(*(canonical_json(part).decode() for part in parts))


def _same_verdict(view: RiskView) -> None:
    inputs = _stored(inputs_of(view, _ENTRY, seen_at_ms=NOW_MS))
    again = assess(_ENTRY, _SNAPSHOT, view_of(inputs, view.settings))

    assert canonical_json(again) == canonical_json(assess(_ENTRY, _SNAPSHOT, view))


def _holding(*symbols: str) -> Counters:
    counters = Counters(day=TODAY)
    for number, symbol in enumerate(symbols, start=1):
        fill = a_trade(number, Side.BUY, "100", "1.5", symbol=symbol, commission=Decimal(0))
        fee = pnl.booked_fee(fill, base_asset="X", fee_quote=Decimal(0), fee_unpriced=False)
        counters = risk_counters.filled(
            counters,
            fill,
            fee,
            decision_id=f"dec_{symbol}",
            role=IntentRole.ENTRY,
            settings=_SETTINGS.risk,
        )
    return counters


_MONEY = st.decimals("0", "20000", places=8)


@given(
    st.sampled_from(list(SysMode)),
    st.lists(st.sampled_from(["SOLUSDT", "AAAUSDT", "BBBUSDT", "CCCUSDT"]), unique=True),
    _MONEY,
    st.lists(st.sampled_from(["SOLUSDT", "DDDUSDT", "EEEUSDT"]), unique=True),
    st.sampled_from([0, NOW_MS - 1, NOW_MS + 1]),
    st.integers(0, 3000),
    st.integers(0, 100),
    st.sampled_from([None, Decimal(25)]),
    st.booleans(),
)
def test_any_view_gives_the_same_verdict_after_it_was_stored(
    mode: SysMode,
    held: list[str],
    free: Decimal,
    pending: list[str],
    until_ms: int,
    latency_ms: int,
    unfilled: int,
    cap: Decimal | None,
    recheck: bool,
) -> None:
    counters = _holding(*held)
    mine = msgspec.structs.replace(
        counters.of("SOLUSDT"), cooldown_until_ms=until_ms, trades_ms=(NOW_MS - 5,)
    )
    counters = msgspec.structs.replace(
        counters,
        realised_today=free - 10_000,
        fired=(ReasonCode.RISK_DRAWDOWN_LIMIT,) if until_ms else (),
        symbols=counters.symbols | {"SOLUSDT": mine},
    )
    book = {
        f"dec_{symbol}": reserves.reserved(
            f"dec_{symbol}", symbol, Decimal("12.5"), expires_at_ms=NOW_MS
        )
        for symbol in pending
    }
    _same_verdict(
        a_view(
            sysmode=mode,
            counters=counters,
            book=book,
            free_quote=free,
            bids={symbol: Decimal("99.5") for symbol in held},
            faults=SymbolFaults(symbol="SOLUSDT", until_ms=until_ms),
            latency_p90_ms=latency_ms,
            unfilled_orders_pct=unfilled,
            returns=dict.fromkeys(held[:1], _SNAPSHOT.returns),
            recheck=recheck,
            order_cap=cap,
        )
    )


def test_an_unknown_symbol_is_stored_as_unknown() -> None:
    _same_verdict(a_view(info=None))


def test_a_position_of_the_operators_own_is_stored_with_the_verdict_it_caused() -> None:
    view = a_view(manual_exposure=True)

    _same_verdict(view)
    assert ReasonCode.MANUAL_EXPOSURE_ACTIVE in assess(_ENTRY, _SNAPSHOT, view).reasons


def test_no_part_of_the_view_is_left_out() -> None:
    """A field added to the view must be stored, or a verdict could not be reached again."""
    kept = {
        field.name
        for part in (AccountSeen, Circumstances, VerdictInputs)
        for field in msgspec.structs.fields(part)
    }
    under_another_name = {"settings": "by config_hash", "book": "reserves"}

    assert {field.name for field in msgspec.structs.fields(RiskView)} <= kept | {
        *under_another_name
    }


def test_a_row_of_an_older_version_is_refused_as_not_enough() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_inputs("{}", "{}", "{}")


def test_a_row_without_the_exchanges_time_is_judged_by_the_one_it_has() -> None:
    view = a_view(exchange_ms=NOW_MS + 5_000)
    inputs = inputs_of(view, _ENTRY, seen_at_ms=NOW_MS)
    before = msgspec.structs.replace(inputs.circumstances, exchange_ms=None)
    old = msgspec.structs.replace(inputs, circumstances=before)

    assert view_of(_stored(inputs), view.settings).exchange_ms == NOW_MS + 5_000
    assert view_of(_stored(old), view.settings).exchange_ms == NOW_MS
