"""Every failed answer becomes the error that says what to do next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.errors import (
    ClockRefused,
    FilterRefused,
    KeyRefused,
    LivespotError,
    NoSuchOrder,
    OutcomeUnknown,
    PayloadInvalid,
    Refused,
    Throttled,
    Transient,
    Unreachable,
)
from livespot.testing.scripted_http import answer
from livespot.venue.refusals import Answer, Forbidden, classify, rest_answer

_NOW_MS = 1_659_142_907_531


def _answer(status: int, code: int, message: str = "") -> Answer:
    return Answer(status=status, code=code, message=message)


_MUTATIONS: list[tuple[int, int, str, type[LivespotError]]] = [
    (500, 0, "", OutcomeUnknown),
    (502, -1121, "Invalid symbol.", OutcomeUnknown),
    (504, -1007, "Timeout waiting for response from backend server.", OutcomeUnknown),
    (400, -1000, "", OutcomeUnknown),
    (400, -1001, "", OutcomeUnknown),
    (400, -1006, "", OutcomeUnknown),
    (400, -1008, "", OutcomeUnknown),
    (400, 0, "", OutcomeUnknown),
    (403, 0, "", OutcomeUnknown),
    (403, -1003, "", OutcomeUnknown),
    (429, -1003, "Too many requests queued.", Throttled),
    (429, -1015, "Too many new orders; current limit is 50 orders per 10 SECOND.", Throttled),
    (418, -1003, "Way too much request weight used", Throttled),
    (418, 0, "", Throttled),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.", ClockRefused),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", KeyRefused),
    (400, -2014, "API-key format invalid.", KeyRefused),
    (401, 0, "", KeyRefused),
    (400, -1013, "Filter failure: LOT_SIZE", FilterRefused),
    (400, -2011, "Unknown order sent.", NoSuchOrder),
    (400, -2013, "Order does not exist.", NoSuchOrder),
    (400, -2011, "Order was not canceled due to cancel restrictions.", Refused),
    (400, -2010, "Account has insufficient balance for requested action.", Refused),
    (400, -1022, "Signature for this request is not valid.", Refused),
]


@pytest.mark.parametrize(("status", "code", "message", "kind"), _MUTATIONS)
def test_a_failed_mutation_is_classified(
    status: int, code: int, message: str, kind: type[LivespotError]
) -> None:
    error = classify(_answer(status, code, message), mutation_id="id-1")

    assert type(error) is kind
    if isinstance(error, OutcomeUnknown):
        assert error.client_order_id == "id-1"


_READS: list[tuple[int, int, str, type[LivespotError]]] = [
    (500, 0, "", Unreachable),
    (403, 0, "", Forbidden),
    (400, -1001, "", Unreachable),
    (400, -1008, "", Unreachable),
    (400, -1016, "", Unreachable),
    (400, 0, "", PayloadInvalid),
    (404, 0, "", PayloadInvalid),
    (429, -1003, "", Throttled),
    (418, 0, "", Throttled),
    (401, -2015, "", KeyRefused),
    (401, 0, "", KeyRefused),
    (400, -2013, "Order does not exist.", NoSuchOrder),
    (400, -1121, "Invalid symbol.", Refused),
]


@pytest.mark.parametrize(("status", "code", "message", "kind"), _READS)
def test_a_failed_read_is_classified(
    status: int, code: int, message: str, kind: type[LivespotError]
) -> None:
    assert type(classify(_answer(status, code, message))) is kind


@given(st.integers(300, 599), st.integers(-3000, 0), st.text(max_size=60))
def test_a_mutation_is_never_transient_unless_the_exchange_asked_for_silence(
    status: int, code: int, message: str
) -> None:
    error = classify(_answer(status, code, message), mutation_id="id-1")

    assert isinstance(error, Throttled) or not isinstance(error, Transient | PayloadInvalid)
    if status >= 500:
        assert isinstance(error, OutcomeUnknown)


def test_a_clock_refusal_tells_ahead_from_late() -> None:
    ahead = classify(
        _answer(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
        mutation_id="id-1",
    )
    late = classify(_answer(400, -1021, "Timestamp for this request is outside of the recvWindow."))

    assert isinstance(ahead, ClockRefused)
    assert isinstance(late, ClockRefused)
    assert (ahead.ahead, late.ahead) == (True, False)


def test_a_filter_refusal_names_the_filter() -> None:
    error = classify(_answer(400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"))

    assert isinstance(error, FilterRefused)
    assert error.filter_name == "PERCENT_PRICE_BY_SIDE"


def test_an_order_count_limit_silences_orders_only() -> None:
    error = classify(_answer(429, -1015), mutation_id="id-1")

    assert isinstance(error, Throttled)
    assert (error.orders_only, error.banned, error.retry_after_ms) == (True, False, 10_000)


def test_retry_after_is_read_from_the_header_or_from_the_words_of_the_ban() -> None:
    words = (
        b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1659146400000."}'
    )
    by_words = classify(rest_answer(answer(words, 418), _NOW_MS))
    by_header = classify(rest_answer(answer(b"<html>", 429, retry_after="37"), _NOW_MS))

    assert isinstance(by_words, Throttled)
    assert isinstance(by_header, Throttled)
    assert (by_words.retry_after_ms, by_words.banned) == (1659146400000 - _NOW_MS, True)
    assert (by_header.retry_after_ms, by_header.banned) == (37_000, False)


@given(st.binary(max_size=200))
def test_any_error_body_is_read_without_failing(body: bytes) -> None:
    read = rest_answer(answer(body, 400), _NOW_MS)

    assert read.status == 400


def test_every_documented_error_sample_is_a_refusal_of_its_kind(rest: dict[str, bytes]) -> None:
    restricted = rest_answer(answer(rest["error_cancelRestrictions_failed"], 400), _NOW_MS)

    error = classify(restricted, mutation_id="id-1")

    assert type(error) is Refused
    assert error.code == -2011
    assert "restrictions" in error.message
