"""Reads the gate's answer strictly: one small JSON object with one of three verdicts.

Nothing is salvaged. What went wrong is described in our own words only, never in the model's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from livespot.contracts.base import Message
from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import EntryKind, FallbackKind

MAX_BYTES = 4096
MAX_DEPTH = 4
_WHITESPACE = " \t\r\n"
# A number that overflows a double is refused as well.
_MAX_EXPONENT = 308
_MAX_DIGITS = 20
_CODES = frozenset(code.value for code in ReasonCode)
# Amounts are decimal texts without exponent, sign or digits of other scripts.
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?\Z")]
Whole = Annotated[int, Meta(ge=0, le=604_800_000)]


class AnswerVerdict(StrEnum):
    """The verdicts open to a model; a failure is declared by us, never by the model."""

    ALLOW = "ALLOW"
    BLOCK = "BLOCK"
    MODIFY = "MODIFY"


class FallbackPatch(Message, frozen=True):
    enabled: bool | None = None
    kind: FallbackKind | None = None
    max_slippage_bps: Whole | None = None
    deadline_ms: Whole | None = None


class EntryPatch(Message, frozen=True):
    kind: EntryKind | None = None
    qty: Amount | None = None
    ttl_ms: Whole | None = None
    reprice_ms: Whole | None = None
    max_reprices: Whole | None = None
    fallback: FallbackPatch | None = None


class ExitPatch(Message, frozen=True):
    tp_price: Amount | None = None
    sl_price: Amount | None = None
    trailing_trigger_price: Amount | None = None
    trailing_distance_bps: Whole | None = None


class Patch(Message, frozen=True):
    """The changed fields only; a field that is absent or `null` is unchanged.

    `reasons`, when given, is the whole list, including the original ones.
    """

    entry_plan: EntryPatch | None = None
    exit_plan: ExitPatch | None = None
    reasons: tuple[ReasonCode, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not _has_value(msgspec.to_builtins(self))


class GateAnswer(Message, frozen=True):
    """A valid answer to the payload whose hash it echoes."""

    verdict: AnswerVerdict
    reasons: tuple[ReasonCode, ...]
    input_hash: str
    modified_decision: Patch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRefused:
    """A failed answer: the code, and what is wrong, in our words."""

    code: ReasonCode
    detail: str


class _Unreadable(Exception):
    """Raised inside the callbacks of the JSON reader; never leaves this module."""


def parse_answer(raw: bytes, *, input_hash: str) -> GateAnswer | AnswerRefused:
    """The answer, or why it counts as failed. `raw` is the text of the model's message."""
    tree = _read(raw)
    if isinstance(tree, AnswerRefused):
        return tree
    unknown = _reason_refusal(tree)
    if unknown is not None:
        return unknown
    try:
        answer = msgspec.convert(tree, GateAnswer)
    except msgspec.ValidationError:
        return _refused(ReasonCode.AIGATE_SCHEMA_INVALID, "the object breaks the schema")
    return _coherent(answer, input_hash)


def _coherent(answer: GateAnswer, input_hash: str) -> GateAnswer | AnswerRefused:
    if answer.input_hash != input_hash:
        return _refused(ReasonCode.AIGATE_SCHEMA_INVALID, "the echoed input_hash is another one")
    patch = answer.modified_decision
    if answer.verdict is AnswerVerdict.MODIFY:
        if patch is None or patch.is_empty:
            return _refused(ReasonCode.AIGATE_SCHEMA_INVALID, "MODIFY without a change")
    elif patch is not None:
        return _refused(ReasonCode.AIGATE_SCHEMA_INVALID, "a change without MODIFY")
    return answer


def _read(raw: bytes) -> dict[str, Any] | AnswerRefused:
    if len(raw) > MAX_BYTES:
        return _refused(ReasonCode.AIGATE_PARSE_FAIL, f"longer than {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8", errors="strict").strip(_WHITESPACE)
    except UnicodeDecodeError:
        return _refused(ReasonCode.AIGATE_PARSE_FAIL, "not UTF-8")
    if _depth(text) > MAX_DEPTH:
        return _refused(ReasonCode.AIGATE_PARSE_FAIL, f"deeper than {MAX_DEPTH} levels")
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_no_float,
            parse_int=_small_int,
        )
    except _Unreadable as error:
        return _refused(ReasonCode.AIGATE_PARSE_FAIL, str(error))
    except json.JSONDecodeError:
        return _refused(ReasonCode.AIGATE_PARSE_FAIL, "not one JSON object")
    if not isinstance(tree, dict):
        return _refused(ReasonCode.AIGATE_PARSE_FAIL, "not one JSON object")
    return tree


def _depth(text: str) -> int:
    """Deepest nesting of braces and brackets outside strings, found without recursion."""
    deepest = depth = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}]":
            depth -= 1
    return deepest


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unreadable("a key stands twice in one object")
    return found


def _no_constant(_: str) -> Any:
    raise _Unreadable("a number is not finite")


def _no_float(text: str) -> Decimal:
    number = Decimal(text)
    if number.adjusted() > _MAX_EXPONENT:
        raise _Unreadable("a number is not finite")
    return number


def _small_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise _Unreadable("a number is too large")
    return int(text)


def _reason_refusal(tree: dict[str, Any]) -> AnswerRefused | None:
    """Unknown codes have their own error, so they are looked for before the schema is applied."""
    patch = tree.get("modified_decision")
    added = patch.get("reasons") if isinstance(patch, dict) else None
    for reasons in (tree.get("reasons"), added):
        if not isinstance(reasons, list):
            continue
        if not reasons:
            return _refused(ReasonCode.AIGATE_REASON_UNKNOWN, "no reason was given")
        if any(isinstance(code, str) and code not in _CODES for code in reasons):
            return _refused(ReasonCode.AIGATE_REASON_UNKNOWN, "a reason is not in the catalogue")
    return None


def _has_value(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(_has_value(value) for value in tree.values())
    return tree is not None


def _refused(code: ReasonCode, detail: str) -> AnswerRefused:
    return AnswerRefused(code=code, detail=detail)
