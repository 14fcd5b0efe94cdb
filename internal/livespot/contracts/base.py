"""The base of every message: frozen, keyword-only, strict about unknown fields."""

from decimal import Decimal
from typing import NoReturn

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that crosses a boundary: mailbox, database, hash or wire."""


def require(condition: bool, field: str, value: object, rule: str) -> None:  # noqa: FBT001
    """Check an invariant of a message; the error names the field, the value and the rule."""
    if not condition:
        refuse(field, value, rule)


def refuse(field: str, value: object, rule: str) -> NoReturn:
    """Raise the error of `require`, for hot paths that check the rule inline."""
    raise ValueError(f"{field}={value!r}: {rule}")


def require_positive(**fields: Decimal) -> None:
    """Check that every given amount is finite and above zero."""
    for name, value in fields.items():
        if not (value.is_finite() and value > 0):
            refuse(name, value, "must be finite and above zero")


def require_amount(**fields: Decimal) -> None:
    """Check that every given amount is finite and not negative."""
    for name, value in fields.items():
        if not (value.is_finite() and value >= 0):
            refuse(name, value, "must be finite and not negative")


def require_x10000(**fields: int) -> None:
    """Check that every given score lies in 0..10000."""
    for name, value in fields.items():
        if not 0 <= value <= 10_000:
            refuse(name, value, "must be within 0..10000")
