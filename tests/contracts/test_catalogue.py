"""Every reason code has a meaning and something to do about it."""

from livespot.contracts.catalogue import CATALOGUE, number_of
from livespot.contracts.codes import ReasonCode


def test_every_code_is_explained() -> None:
    assert set(CATALOGUE) == set(ReasonCode)


def test_every_entry_is_a_sentence_with_an_action() -> None:
    for entry in CATALOGUE.values():
        assert entry.meaning.endswith(".")
        assert entry.action.endswith(".")


def test_numbers_follow_the_blocks() -> None:
    assert number_of(ReasonCode.ALERT_RAISED) == 1000
    assert number_of(ReasonCode.STRAT_WARMUP) == 6031
