from collections.abc import Callable

import pytest

from livespot.contracts.settings import QuarantineSettings
from livespot.rules import quarantine
from livespot.rules.quarantine import SymbolFaults, is_quarantined

_RULES = QuarantineSettings()
_CLEAN = SymbolFaults(symbol="SOLUSDT")
_HOUR = 3_600_000
Fault = Callable[[SymbolFaults, int, QuarantineSettings], SymbolFaults]


def _after(fault: Fault, *times: int) -> SymbolFaults:
    faults = _CLEAN
    for at in times:
        faults = fault(faults, at, _RULES)
    return faults


@pytest.mark.parametrize(
    ("fault", "limit", "cause"),
    [
        (quarantine.filter_rejected, 3, quarantine.CAUSE_REJECTS),
        (quarantine.entry_refused, 3, quarantine.CAUSE_REFUSALS),
        (quarantine.stream_dropped, 5, quarantine.CAUSE_DROPS),
        (quarantine.submit_timed_out, 3, quarantine.CAUSE_TIMEOUTS),
    ],
)
def test_the_last_fault_of_a_limit_sets_the_symbol_aside(
    fault: Fault, limit: int, cause: str
) -> None:
    below = _after(fault, *range(limit - 1))
    at_limit = _after(fault, *range(limit))

    assert not is_quarantined(below, limit)
    assert is_quarantined(at_limit, limit)
    assert at_limit.cause == cause
    assert at_limit.until_ms == limit - 1 + _HOUR


@pytest.mark.parametrize(
    ("fault", "window_ms", "limit"),
    [(quarantine.filter_rejected, _HOUR, 3), (quarantine.stream_dropped, 600_000, 5)],
)
def test_faults_older_than_their_window_do_not_count(
    fault: Fault, window_ms: int, limit: int
) -> None:
    early = [0] * (limit - 1)

    assert is_quarantined(_after(fault, *early, window_ms - 1), window_ms)
    assert not is_quarantined(_after(fault, *early, window_ms), window_ms)


def test_an_answer_ends_a_row_of_timeouts() -> None:
    twice = _after(quarantine.submit_timed_out, 1, 2)

    assert quarantine.submit_answered(twice).timeouts_in_row == 0


@pytest.mark.parametrize(
    ("now_ms", "held"), [(_HOUR - 1, True), (_HOUR, False), (_HOUR + 1, False)]
)
def test_a_quarantine_ends_with_its_time_and_clean_counters(now_ms: int, held: bool) -> None:
    faults = _after(quarantine.filter_rejected, 0, 0, 0)

    assert is_quarantined(faults, now_ms) is held
    assert quarantine.expired(faults, now_ms) is not held
    assert quarantine.released(faults) == _CLEAN


def test_without_release_by_time_only_a_person_releases() -> None:
    rules = QuarantineSettings(auto_release=False)

    faults = quarantine.quarantined(_CLEAN, "X", 0, rules)

    assert is_quarantined(faults, 10**13)
    assert not quarantine.expired(faults, 10**13)


@pytest.mark.parametrize(
    ("now_ms", "reason", "refusal"),
    [
        (0, "looked", ""),
        (0, " ", "a release needs a reason"),
        (_HOUR - 1, "looked", ""),
        (_HOUR, "looked", "SOLUSDT is not quarantined"),
    ],
)
def test_a_person_releases_what_is_quarantined_and_says_why(
    now_ms: int, reason: str, refusal: str
) -> None:
    faults = _after(quarantine.filter_rejected, 0, 0, 0)

    assert quarantine.release_refused(faults, reason, now_ms) == refusal


def test_a_person_can_release_what_no_time_releases() -> None:
    rules = QuarantineSettings(auto_release=False)

    faults = quarantine.quarantined(_CLEAN, "X", 0, rules)

    assert quarantine.release_refused(faults, "looked", 10**13) == ""


def test_faults_survive_a_restart() -> None:
    faults = _after(quarantine.filter_rejected, 5, 6)

    assert quarantine.from_row(quarantine.row(faults, 7)) == faults
