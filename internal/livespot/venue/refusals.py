"""Classifies failed answers of the exchange into typed errors."""

import re
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from livespot.contracts.errors import (
    ClockRefused,
    FilterRefused,
    KeyRefused,
    NoSuchOrder,
    OutcomeUnknown,
    PayloadInvalid,
    Refused,
    Throttled,
    Unreachable,
)
from livespot.contracts.transport import HttpAnswer
from livespot.venue.wire import WireError, read

# Codes after which a mutation may or may not have happened.
OUTCOME_UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007, -1008})
# For a read these codes, and those above, only mean "try again later".
_TRY_AGAIN_CODES = OUTCOME_UNKNOWN_CODES | {-1016, -1034}
# At least one half of a cancel-replace failed; the body describes both halves.
HALVES_CODES = frozenset({-2021, -2022})
_KEY_CODES = frozenset({-2014, -2015})
_ABSENT_CODES = frozenset({-2011, -2013})
_ABSENT_TEXTS = ("Unknown order", "does not exist")
_TOO_MANY_ORDERS = -1015
_TOO_MANY_REQUESTS = -1003
_BAD_TIMESTAMP = -1021
_FILTER = re.compile(r"Filter failure: ([A-Z_]+)")
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")
_MINUTE_MS, _ORDER_WINDOW_MS, _FIRST_BAN_MS = 60_000, 10_000, 120_000


class Forbidden(Unreachable):
    """403 from the firewall: no ban and no key fault, but an immediate retry may bring a ban."""


Failure: TypeAlias = Throttled | Unreachable | OutcomeUnknown | Refused | PayloadInvalid

_ERROR = msgspec.json.Decoder(WireError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A failed answer from either API. `code` is 0 when its body could not be read."""

    status: int
    code: int
    message: str
    retry_after_ms: int = 0


def rest_answer(answer: HttpAnswer, server_now_ms: int) -> Answer:
    """Read a failed HTTP answer. An unreadable body gives code 0 instead of an error."""
    try:
        error = read(_ERROR, answer.body, "error body")
    except PayloadInvalid:
        error = WireError(code=0)
    header = answer.headers.get("retry-after", "")
    stated_ms = int(header) * 1000 if header.isascii() and header.isdigit() else 0
    return Answer(
        status=answer.status,
        code=error.code,
        message=error.msg,
        retry_after_ms=stated_ms or banned_ms(error.msg, server_now_ms),
    )


def banned_ms(message: str, server_now_ms: int) -> int:
    """Return how many ms of a ban are left by the message's own words; 0 when it states none."""
    found = _BANNED_UNTIL.search(message)
    return max(0, int(found[1]) - server_now_ms) if found else 0


def classify(answer: Answer, *, mutation_id: str | None = None) -> Failure:
    """Return the error that a failed answer stands for.

    `mutation_id` is the client id of a mutation, None for a read. A mutation becomes `Transient`
    only by 429 and 418, which are definite refusals.
    """
    if answer.status in (418, 429) or (
        answer.code == _TOO_MANY_REQUESTS and answer.status < 500 and answer.status != 403
    ):
        return _throttled(answer)
    if mutation_id is None:
        return _for_read(answer)
    return _for_mutation(answer, mutation_id)


def _for_read(answer: Answer) -> Failure:
    if answer.status == 403:
        return Forbidden(_shown(answer))
    if answer.status >= 500 or answer.code in _TRY_AGAIN_CODES:
        return Unreachable(_shown(answer))
    if answer.status == 401:
        return _refused(answer)
    if answer.code == 0:
        return PayloadInvalid(f"{answer.status} with an unreadable body")
    return _refused(answer)


def _for_mutation(answer: Answer, mutation_id: str) -> Failure:
    doubtful = answer.status >= 500 or answer.status == 403 or answer.code in OUTCOME_UNKNOWN_CODES
    if doubtful or (answer.code == 0 and answer.status != 401):
        return OutcomeUnknown(mutation_id, _shown(answer))
    return _refused(answer)


def _refused(answer: Answer) -> Refused:
    code, message = answer.code, answer.message
    if code == _BAD_TIMESTAMP:
        return ClockRefused(code, message, ahead="ahead of" in message)
    if code in _KEY_CODES or answer.status == 401:
        return KeyRefused(code, message or "the key was refused", http_status=answer.status)
    named = _FILTER.search(message)
    if named:
        return FilterRefused(code, message, filter_name=named[1])
    if code in _ABSENT_CODES and any(text in message for text in _ABSENT_TEXTS):
        return NoSuchOrder(code, message, http_status=answer.status)
    return Refused(code, message, http_status=answer.status)


def _throttled(answer: Answer) -> Throttled:
    banned = answer.status == 418
    orders_only = answer.code == _TOO_MANY_ORDERS
    fallback = _FIRST_BAN_MS if banned else _ORDER_WINDOW_MS if orders_only else _MINUTE_MS
    return Throttled(
        retry_after_ms=answer.retry_after_ms or fallback, banned=banned, orders_only=orders_only
    )


def _shown(answer: Answer) -> str:
    what = f"{answer.code}: {answer.message}" if answer.code else "no readable body"
    return f"status {answer.status}, {what}"
