"""Reason codes as the panel shows them, with meaning and next step."""

from collections.abc import Iterable

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.catalogue import CATALOGUE, CodeEntry


class CodeView(Message, frozen=True):
    """A reason code with its catalogue entry; the texts are empty for an unknown code.

    `by_itself` is what the system does without being asked.
    """

    code: str
    meaning: str = ""
    action: str = ""
    by_itself: str = ""


_BY_TEXT: dict[str, CodeEntry] = {code.value: entry for code, entry in CATALOGUE.items()}


def code_view(code: str) -> CodeView:
    entry = _BY_TEXT.get(code)
    if entry is None:
        return CodeView(code=code)
    return CodeView(
        code=code, meaning=entry.meaning, action=entry.action, by_itself=entry.by_itself
    )


def code_views(codes: Iterable[str]) -> tuple[CodeView, ...]:
    return tuple(code_view(code) for code in codes)


def codes_of(reasons_json: str) -> tuple[CodeView, ...]:
    """Return the codes of a stored JSON array of strings."""
    return code_views(msgspec.json.decode(reasons_json, type=list[str]))
