import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.rules.gate_answer import (
    AnswerRefused,
    AnswerVerdict,
    GateAnswer,
    parse_answer,
)

_HASH = "a" * 64


def _body(**changes: Any) -> dict[str, Any]:
    return {
        "verdict": "ALLOW",
        "reasons": ["AIGATE_ALLOWED"],
        "input_hash": _HASH,
        "modified_decision": None,
    } | changes


def _parse(raw: bytes | str | dict[str, Any]) -> GateAnswer | AnswerRefused:
    if isinstance(raw, dict):
        raw = json.dumps(raw)
    return parse_answer(raw if isinstance(raw, bytes) else raw.encode(), input_hash=_HASH)


def _code(raw: bytes | str | dict[str, Any]) -> ReasonCode | None:
    answer = _parse(raw)
    return answer.code if isinstance(answer, AnswerRefused) else None


def test_an_allow_is_read() -> None:
    answer = _parse(_body())

    assert isinstance(answer, GateAnswer)
    assert answer.verdict is AnswerVerdict.ALLOW


def test_a_modify_with_nulls_for_unchanged_fields_is_read() -> None:
    patch = {
        "entry_plan": {"qty": "1.5", "kind": None, "fallback": {"enabled": False, "kind": None}},
        "exit_plan": None,
        "reasons": None,
    }

    answer = _parse(_body(verdict="MODIFY", modified_decision=patch))

    assert isinstance(answer, GateAnswer)
    assert answer.modified_decision is not None
    assert answer.modified_decision.entry_plan is not None
    assert answer.modified_decision.entry_plan.qty == "1.5"


_PARSE, _SCHEMA = ReasonCode.AIGATE_PARSE_FAIL, ReasonCode.AIGATE_SCHEMA_INVALID
_GOOD = json.dumps(_body())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param("", _PARSE, id="nothing"),
        pytest.param("null", _PARSE, id="null"),
        pytest.param(f"[{_GOOD}]", _PARSE, id="array"),
        pytest.param(f"```json\n{_GOOD}\n```", _PARSE, id="code-fence"),
        pytest.param(f"Sure! {_GOOD}", _PARSE, id="talk-before"),
        pytest.param(f"{_GOOD} {_GOOD}", _PARSE, id="two-objects"),
        pytest.param(_GOOD[:-1], _PARSE, id="cut-off"),
        pytest.param(_GOOD[:-1] + ', "verdict": "ALLOW"}', _PARSE, id="duplicate-key"),
        pytest.param(_GOOD.replace("null", "NaN"), _PARSE, id="nan"),
        pytest.param(_GOOD.replace("null", "-Infinity"), _PARSE, id="infinity"),
        pytest.param(_GOOD.replace("null", "1e999"), _PARSE, id="overflowing-number"),
        pytest.param(_GOOD.replace("null", "9" * 30), _PARSE, id="huge-integer"),
        pytest.param(_GOOD + " " * 4096, _PARSE, id="too-long"),
        pytest.param(_GOOD.replace("null", "[[[[1]]]]"), _PARSE, id="too-deep"),
        pytest.param("[" * 4000, _PARSE, id="bottomless"),
        pytest.param(b"\xff\xfe", _PARSE, id="not-utf8"),
        pytest.param("\ufeff" + _GOOD, _PARSE, id="byte-order-mark"),
        pytest.param(_body(verdict="allow"), _SCHEMA, id="wrong-case"),
        pytest.param(_body(verdict="\uff21LLOW"), _SCHEMA, id="look-alike-letter"),
        pytest.param(_body(verdict="ERROR"), _SCHEMA, id="not-its-word"),
        pytest.param(_body(extra=1), _SCHEMA, id="unknown-field"),
        pytest.param(_body(input_hash="b" * 64), _SCHEMA, id="wrong-echo"),
        pytest.param(_body(input_hash=_HASH + "\n"), _SCHEMA, id="echo-with-newline"),
        pytest.param(_body(reasons="AIGATE_ALLOWED"), _SCHEMA, id="reasons-not-a-list"),
        pytest.param(_body(reasons=[7]), _SCHEMA, id="reason-not-a-text"),
        pytest.param(_body(verdict="MODIFY"), _SCHEMA, id="modify-without-patch"),
        pytest.param(_body(verdict="MODIFY", modified_decision={}), _SCHEMA, id="empty-patch"),
        pytest.param(
            _body(verdict="MODIFY", modified_decision={"entry_plan": {"qty": None}}),
            _SCHEMA,
            id="patch-of-nulls",
        ),
        pytest.param(
            _body(modified_decision={"entry_plan": {"qty": "1"}}), _SCHEMA, id="allow-with-patch"
        ),
        pytest.param(
            _body(verdict="MODIFY", modified_decision={"symbol": "BTCUSDT"}), _SCHEMA, id="symbol"
        ),
        pytest.param(
            _body(verdict="MODIFY", modified_decision={"entry_plan": {"qty": 1.5}}),
            _SCHEMA,
            id="number-for-a-decimal-text",
        ),
        pytest.param(
            _body(verdict="MODIFY", modified_decision={"entry_plan": {"qty": "1e3"}}),
            _SCHEMA,
            id="exponent",
        ),
        pytest.param(
            _body(verdict="MODIFY", modified_decision={"entry_plan": {"qty": "1\n"}}),
            _SCHEMA,
            id="trailing-newline",
        ),
        pytest.param(
            _body(verdict="MODIFY", modified_decision={"entry_plan": {"ttl_ms": -1}}),
            _SCHEMA,
            id="negative",
        ),
        pytest.param(_body(reasons=[]), ReasonCode.AIGATE_REASON_UNKNOWN, id="no-reason"),
        pytest.param(
            _body(reasons=["BECAUSE"]), ReasonCode.AIGATE_REASON_UNKNOWN, id="unknown-reason"
        ),
        pytest.param(
            _body(reasons=["aigate_allowed"]),
            ReasonCode.AIGATE_REASON_UNKNOWN,
            id="reason-in-lower-case",
        ),
        pytest.param(
            _body(verdict="MODIFY", modified_decision={"reasons": ["BECAUSE"]}),
            ReasonCode.AIGATE_REASON_UNKNOWN,
            id="unknown-reason-in-the-patch",
        ),
    ],
)
def test_anything_else_is_a_named_failure(raw: bytes | str | dict[str, Any], code: str) -> None:
    assert _code(raw) == code


def test_the_refusal_never_quotes_the_answer() -> None:
    secret = "sk-live-0123456789"

    for raw in (_body(verdict=secret), _body(reasons=[secret]), _body(**{secret: 1}), secret):
        answer = _parse(raw)
        assert isinstance(answer, AnswerRefused)
        assert secret not in answer.detail


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


@given(st.binary(max_size=200) | _JSON.map(lambda tree: json.dumps(tree).encode()))
def test_no_bytes_make_the_reader_fail_or_allow(raw: bytes) -> None:
    assert isinstance(parse_answer(raw, input_hash=_HASH), AnswerRefused)


@given(
    st.sampled_from(["verdict", "reasons", "input_hash", "modified_decision"]),
    _JSON,
)
def test_one_replaced_field_is_never_read_as_something_else(field: str, value: Any) -> None:
    answer = _parse(_body(**{field: value}))

    assert isinstance(answer, AnswerRefused) or answer == _parse(_body())
