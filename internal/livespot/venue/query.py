"""Builds the query string of a REST request, signed or not."""

from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import quote

Value: TypeAlias = str | int
Pairs: TypeAlias = Iterable[tuple[str, Value]]


def query_string(pairs: Pairs) -> str:
    """`name=value` joined by `&`, percent-encoded; exactly what is signed and sent by REST."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in pairs)
