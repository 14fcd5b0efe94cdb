"""A held symbol that cannot be traded degrades, one that is gone pauses; others do neither."""

import msgspec

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import SignalLevel
from livespot.rules.halts import EXCHANGE, troubles
from livespot.testing.market_values import a_symbol

_OPEN = a_symbol("SOLUSDT")
_HALTED = msgspec.structs.replace(a_symbol("ADAUSDT"), status="BREAK")
_INFOS = {"SOLUSDT": _OPEN, "ADAUSDT": _HALTED}


def test_what_is_open_or_not_held_asks_for_nothing() -> None:
    assert troubles(_INFOS, {"SOLUSDT"}, set()) == {}


def test_a_held_symbol_on_halt_degrades_and_needs_eyes() -> None:
    [(source, trouble)] = troubles(_INFOS, {"ADAUSDT"}, set()).items()

    assert (source, trouble.level) == ("ADAUSDT", SignalLevel.DEGRADE)
    assert trouble.reason is ReasonCode.EXCHANGE_HALTED
    assert trouble.needs_eyes


def test_a_held_symbol_that_is_no_longer_listed_pauses() -> None:
    found = troubles(_INFOS, {"XRPUSDT"}, set())

    assert found["XRPUSDT"].level is SignalLevel.PAUSE
    assert found["XRPUSDT"].needs_eyes


def test_before_any_rules_were_read_nothing_counts_as_delisted() -> None:
    assert troubles({}, {"XRPUSDT"}, {"XRPUSDT"}) == {}


def test_an_order_turned_away_for_the_symbols_state_degrades_whatever_the_status_says() -> None:
    found = troubles(_INFOS, set(), {"SOLUSDT"})

    assert found["SOLUSDT"].level is SignalLevel.DEGRADE


def test_with_nothing_open_for_trading_the_exchange_is_in_maintenance() -> None:
    found = troubles({"ADAUSDT": _HALTED}, set(), set())

    assert found[EXCHANGE].reason is ReasonCode.EXCHANGE_MAINTENANCE
