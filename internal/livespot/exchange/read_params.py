"""Read what a request carries: names and values as text, and values as what they stand for."""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from livespot.exchange.model import Rejection
from livespot.exchange.signing import OLDEST_MS
from livespot.exchange.time_units import as_milliseconds

Params = Mapping[str, str]
# What proves an identity; the exchange reads it before the request itself.
PROOF = frozenset({"apiKey", "timestamp", "recvWindow", "signature"})
_SPANS = ("startTime", "endTime")
_NAMING = "ClientOrderId"
_AHEAD_MS = 10_000
_LONG = re.compile(r"^[0-9]{1,20}$")
_LARGEST_LONG = 2**63 - 1
_LARGEST_INT = 2**31 - 1
_SYMBOL = re.compile(r"^[\w\-.]{1,50}$")
_LOWER = re.compile(r"[a-z]")
# As the exchange has printed it since names may hold any script's letters.
_SYMBOL_RANGE = r"^[\w\-._&&[^a-z]]{1,50}$"


def read_form(query: bytes, body: bytes) -> dict[str, str]:
    """Decoded parameters of a REST request; the query wins over the body.

    Raises:
        Rejection: -1101 for a name sent twice in one part, -1100 for bytes that are no text.
    """
    return _pairs(body) | _pairs(query)


def _pairs(part: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, part.split(b"&")):
        raw_name, _, raw_value = pair.partition(b"=")
        name = _text(raw_name, "name")
        if name in found:
            raise Rejection(-1101, "Duplicate values for a parameter detected.")
        found[name] = _text(raw_value, name)
    return found


def _text(raw: bytes, name: str) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise illegal(name, "UTF-8") from error


def without_signature(part: bytes) -> bytes:
    """A query or body as it was signed."""
    return b"&".join(pair for pair in part.split(b"&") if not pair.startswith(b"signature="))


def check_names(params: Params, reads: frozenset[str] | None) -> None:
    """Refuse empty values, and every name that is neither proof of identity nor in `reads`.

    None for `reads` leaves the names to whoever reads the values, and so empty client ids, which
    have codes of their own.
    """
    for name, value in params.items():
        if not value and name not in PROOF and not (reads is None and name.endswith(_NAMING)):
            raise Rejection(-1105, f"Parameter '{name}' was empty.")
    if reads is None:
        return
    strays = sum(1 for name in params if name not in reads and name not in PROOF)
    if strays:
        sent = len(params)
        raise Rejection(
            -1104,
            "Not all sent parameters were read; "
            f"read '{sent - strays}' parameter(s) but was sent '{sent}'.",
        )


def within_time(params: Params, now_ms: int) -> dict[str, str]:
    """The parameters with `startTime` and `endTime` in ms, cut to what the exchange knows of."""
    read = dict(params)
    for name in _SPANS:
        text = params.get(name)
        if text is not None and _LONG.fullmatch(text) is not None:
            time_ms = as_milliseconds(int(text))
            read[name] = str(min(max(time_ms, OLDEST_MS), now_ms + _AHEAD_MS))
    return read


def whole(params: Params, name: str, largest: int = _LARGEST_LONG) -> int | None:
    """An optional whole number; -1100 for other characters, -1108 for too large a one."""
    text = params.get(name)
    if text is None:
        return None
    if _LONG.fullmatch(text) is None:
        raise illegal(name, _LONG.pattern)
    if int(text) > largest:
        raise Rejection(-1108, f"Parameter '{name}' overflowed.")
    return int(text)


def read_limit(params: Params, default: int, most: int) -> int:
    """The `limit` parameter; too much is cut, zero is refused."""
    value = whole(params, "limit", _LARGEST_INT)
    if value == 0:
        raise illegal("limit", _LONG.pattern)
    return default if value is None else min(value, most)


def flag(params: Params, name: str, *, default: bool) -> bool:
    """An optional true or false."""
    text = params.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise illegal(name, "^(true|false)$")
    return text.lower() == "true"


def check_symbol_text(name: str, text: str) -> None:
    """Refuse characters that no symbol has: above all lower-case ASCII letters."""
    if _SYMBOL.fullmatch(text) is None or _LOWER.search(text):
        raise illegal(name, _SYMBOL_RANGE)


def illegal(name: str, legal: str) -> Rejection:
    """-1100."""
    return Rejection(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def invalid(name: str) -> Rejection:
    """-1130."""
    return Rejection(-1130, f"Data sent for parameter '{name}' is not valid.")
