"""Which refusals are about the market and not about the order."""

import pytest

from livespot.rules.closed_market import says_closed


@pytest.mark.parametrize(
    ("message", "closed"),
    [
        ("Market is closed.", True),
        ("Order cancel-replace is not supported for this symbol in this trading phase.", True),
        ("Rest API trading is not enabled.", True),
        ("WebSocket API trading is not enabled.", True),
        ("Account has insufficient balance for requested action.", False),
        ("This action is disabled on this account.", False),
        ("Order would trigger immediately.", False),
        ("", False),
    ],
)
def test_only_the_words_of_a_closed_market_say_that_it_is_closed(
    message: str, *, closed: bool
) -> None:
    assert says_closed(message) is closed
