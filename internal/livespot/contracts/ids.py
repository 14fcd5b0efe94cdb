"""Identifiers: derived from what they name, never random, except six digits of the run id."""

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache

from livespot.contracts.canonical import hash_of, sha256_hex

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# Base32 by two characters (ten bits) at a time; four times faster than the standard library.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_USED_BYTES = 22
# The client order ids that the exchange accepts.
_ACCEPTED = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_SHIFTS = tuple(range(8 * _USED_BYTES - 10, 0, -10))


def run_id(now_ms: int, random_hex6: str) -> str:
    """`run_<UTC yyyymmdd_hhmmss>_<6 hex>`."""
    return f"run_{_stamp(now_ms)}_{random_hex6}"


def cycle_id(run: str, sequence: int, now_ms: int) -> str:
    """`cyc_<UTC yyyymmdd_hhmmss_mmm>_<6 hex of sha256(run_id, sequence)>`."""
    digest = sha256_hex(f"{run},{sequence}".encode())
    return f"cyc_{_stamp(now_ms)}_{now_ms % 1000:03d}_{digest[:6]}"


def snapshot_id(symbol: str, exchange_time_ms: int, snapshot_hash: str) -> str:
    """`snap_<symbol>_<exchange_time_ms>_<first 12 of snapshot_hash>`."""
    return f"snap_{symbol}_{exchange_time_ms}_{snapshot_hash[:12]}"


def decision_id(payload: object) -> str:
    """`dec_` + hash of a `DecisionHashPayload`."""
    return "dec_" + hash_of(payload)


def order_intent_id(payload: object) -> str:
    """`oi_` + hash of an `OrderIntentHashPayload` or `DerivedIntentHashPayload`."""
    return "oi_" + hash_of(payload)


@lru_cache(maxsize=256)
def client_order_id(intent_id: str) -> str:
    """`X_` + first 34 characters of base32(sha256(order_intent_id)): 36 characters."""
    bits = int.from_bytes(hashlib.sha256(intent_id.encode()).digest()[:_USED_BYTES], "big")
    pairs = [_PAIRS[bits >> shift & 1023] for shift in _SHIFTS]
    return "X_" + "".join(pairs)


def is_accepted_client_order_id(text: str) -> bool:
    """Whether the exchange would accept this as a client order id."""
    return _ACCEPTED.fullmatch(text) is not None


def is_own_client_order_id(text: str) -> bool:
    """Whether an id has the form of this program's ids; another instance's have it too."""
    return len(text) == 36 and text.startswith("X_")


def _stamp(now_ms: int) -> str:
    return _stamp_of_second(now_ms // 1000)


@lru_cache(maxsize=4)
def _stamp_of_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y%m%d_%H%M%S")
