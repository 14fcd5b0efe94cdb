"""What can be replayed of which data, and how a wish that does not fit is answered."""

from datetime import UTC, datetime
from typing import Any

import pytest

from livespot.contracts.errors import PreflightFailed
from livespot.runtime.replay_request import Wish, planned, utc

_MINUTE_MS = 60_000


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _wish(**changes: Any) -> Wish:
    usual: dict[str, Any] = {
        "data": "recorded",
        "symbols": frozenset({"SOLUSDT"}),
        "seed": 7,
        "from_ms": None,
        "to_ms": None,
        "span_ms": None,
        "usual_ms": _ms("2021-04-22T00:01"),
        "usual_span_ms": 12 * _MINUTE_MS,
    }
    return Wish(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "begins", "minutes"),
    [
        ({}, "2021-04-22T00:01", 12),
        ({"from_ms": _ms("2021-04-10T00:05")}, "2021-04-10T00:05", 12),
        ({"to_ms": _ms("2021-04-22T00:02")}, "2021-04-22T00:01", 1),
        ({"span_ms": 5 * _MINUTE_MS}, "2021-04-22T00:01", 5),
        ({"from_ms": _ms("2021-04-22T05:50")}, "2021-04-22T05:50", 10),
        ({"data": "replayed", "symbols": frozenset()}, "2024-08-08T23:57", 3),
        ({"data": "synthetic-3", "symbols": frozenset()}, "2021-04-22T00:01", 12),
    ],
)
def test_what_is_not_said_follows_from_the_data(
    changes: dict[str, Any], begins: str, minutes: int
) -> None:
    plan = planned(_wish(**changes))

    assert utc(plan.start_ms) == begins
    assert plan.span_ms == minutes * _MINUTE_MS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"from_ms": _ms("2021-04-10T00:04")}, "from 2021-04-10T00:05 to 2021-04-22T06:00"),
        ({"to_ms": _ms("2021-04-22T06:01")}, "cannot go on until 2021-04-22T06:01"),
        ({"to_ms": _ms("2021-04-22T00:01")}, "not after its beginning at 2021-04-22T00:01"),
        ({"symbols": frozenset({"SOLUSD"})}, r"SOLUSD \(did you mean SOLUSDT\?\)"),
        ({"data": "synthetic-3", "symbols": frozenset({"NOSUCH"})}, "does not hold NOSUCH"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_a_wish_that_the_data_cannot_fulfil_is_told_what_can_be(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(PreflightFailed, match=said):
        planned(_wish(**changes))


def test_instants_are_written_as_the_command_line_reads_them() -> None:
    texts = ["2021-04-22T00:01", "2021-04-22T00:01:30", "2021-04-22T00:01:30.250"]

    assert [utc(_ms(text)) for text in texts] == texts
