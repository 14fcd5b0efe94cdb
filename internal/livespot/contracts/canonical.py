"""Canonical JSON (RFC 8785 on a float-free domain) and the hashes made of it."""

import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.amounts import decimal_text

_MAX_SAFE_INTEGER = 2**53 - 1
_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """UTF-8 bytes of the canonical form; raises `TypeError` or `ValueError` outside the domain.

    Structs, dicts with string keys, lists, tuples, strings, booleans, `None`, integers up to
    2**53-1 and Decimals (as plain decimal strings) are in the domain. Floats are not.
    """
    return _ENCODER.encode(_plain(msgspec.to_builtins(value, builtin_types=(Decimal,))))


def sha256_hex(data: bytes) -> str:
    """Lowercase hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def hash_of(value: object) -> str:
    """SHA-256 of the canonical JSON of a value."""
    return sha256_hex(canonical_json(value))


def _plain(value: Any) -> Any:
    match value:
        case bool() | None | str():
            return value
        case int():
            if abs(value) > _MAX_SAFE_INTEGER:
                raise ValueError(f"{value!r} is beyond the integers JSON can carry exactly")
            return value
        case dict():
            return {_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Decimal():
            return decimal_text(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form: {value!r}")


def _key(key: Any) -> str:
    if not isinstance(key, str) or not key.isascii():
        raise TypeError(f"{key!r} cannot be a canonical key")
    return key
