"""Canonical JSON (RFC 8785 on a float-free domain) and the hashes made of it."""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from functools import cache, wraps
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from livespot.contracts.amounts import decimal_text

_MAX_SAFE_INTEGER = 2**53 - 1
_ENCODER = msgspec.json.Encoder(order="sorted")
_Value = TypeVar("_Value")
_Made = TypeVar("_Made")
_LEAVES = frozenset({str, bool, type(None), Decimal, int})
# Maps every digit to 0, and the first two characters of NaN, Infinity, E+ and E- to "Na", so that
# one search finds them all.
_ALIKE = bytes.maketrans(b"123456789" + b"IE" + b"n+-", b"000000000" + b"NN" + b"aaa")
_ODD_NUMBER = b"Na"
_LONG_NUMBER = b"0" * len(str(_MAX_SAFE_INTEGER))


def canonical_json(value: object) -> bytes:
    """UTF-8 bytes of the canonical form; raises `TypeError` or `ValueError` outside the domain.

    Structs, dicts with string keys, lists, tuples, strings, booleans, `None`, integers up to
    2**53-1 and Decimals (as plain decimal strings) are in the domain. Floats are not.
    """
    if _is_sound(value):
        encoded = _ENCODER.encode(value)
        if _is_plain(encoded):
            return encoded
    return _ENCODER.encode(_plain(msgspec.to_builtins(value, builtin_types=(Decimal,))))


class Same:
    """An object as a key by identity: equal values may spell their numbers differently."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def once_per_object(
    most: int,
) -> Callable[[Callable[[_Value], _Made]], Callable[[_Value], _Made]]:
    """Cache a pure function's results for up to `most` immutable objects, by identity.

    Equality would not do: equal values may spell their numbers differently. When the cache is full
    it is emptied, so that a hit needs no bookkeeping.
    """

    def remembering(make: Callable[[_Value], _Made]) -> Callable[[_Value], _Made]:
        # The object is kept with its result, so that its id stays unique.
        known: dict[int, tuple[_Value, _Made]] = {}

        @wraps(make)
        def once(value: _Value) -> _Made:
            found = known.get(id(value))
            if found is None:
                if len(known) >= most:
                    known.clear()
                found = known[id(value)] = value, make(value)
            return found[1]

        return once

    return remembering


@once_per_object(64)
def canonical_json_once(value: object) -> bytes:
    """`canonical_json` of an immutable value, cached by identity."""
    return canonical_json(value)


def sha256_hex(data: bytes) -> str:
    """Lowercase hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def hash_of(value: object) -> str:
    """SHA-256 of the canonical JSON of a value."""
    return sha256_hex(canonical_json(value))


def _is_sound(value: object) -> bool:
    """Whether the types alone rule out floats and odd keys; a wrong False only costs time."""
    kind: Any = type(value)
    if kind in _LEAVES:
        return True
    if kind is dict:
        items: dict[Any, Any] = value  # type: ignore[assignment]
        for key, item in items.items():
            if type(key) is not str:
                return False
            if type(item) not in _LEAVES and not _is_sound(item):
                return False
        return True
    if kind is tuple or kind is list:
        return all(map(_is_sound, value))  # type: ignore[call-overload]
    return _is_sound_type(kind)


@cache
def _is_sound_type(kind: type[Any]) -> bool:
    """Whether a Struct's fields, at all depths, can only hold values of the domain."""
    if issubclass(kind, str):
        return True
    return issubclass(kind, msgspec.Struct) and _holds_sound(inspect.type_info(kind), frozenset())


def _holds_sound(info: inspect.Type, seen: frozenset[type]) -> bool:
    match info:
        case (
            inspect.StrType()
            | inspect.IntType()
            | inspect.BoolType()
            | inspect.NoneType()
            | inspect.DecimalType()
            | inspect.LiteralType()
            | inspect.EnumType()
        ):
            return True
        case inspect.UnionType():
            return all(_holds_sound(part, seen) for part in info.types)
        case inspect.VarTupleType() | inspect.ListType():
            return _holds_sound(info.item_type, seen)
        case inspect.TupleType():
            return all(_holds_sound(part, seen) for part in info.item_types)
        case inspect.DictType():
            keys = isinstance(info.key_type, inspect.StrType)
            return keys and _holds_sound(info.value_type, seen)
        case inspect.StructType():
            inner = seen | {info.cls}
            return info.cls in seen or all(_holds_sound(f.type, inner) for f in info.fields)
        case _:
            return False


def _is_plain(encoded: bytes) -> bool:
    """Whether nothing in it could need another spelling; a wrong False only costs time."""
    # The encoder spells a small Decimal with an exponent, and keeps the sign of a zero.
    if not encoded.isascii() or (b"-" in encoded and b'"-0' in encoded):
        return False
    alike = encoded.translate(_ALIKE)
    return _ODD_NUMBER not in alike and _LONG_NUMBER not in alike


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
