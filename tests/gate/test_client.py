import json
from collections.abc import Callable
from typing import Any

import pytest

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import NotSent, Unreachable
from livespot.contracts.secret import Secret
from livespot.contracts.transport import HttpAnswer
from livespot.gate.client import Completion, GateClient, GateFailed


class _Wire:
    """An HTTP transport that answers what it was given, or raises it."""

    def __init__(self, answer: HttpAnswer | Exception) -> None:
        self._answer = answer
        self.seen: list[dict[str, Any]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        content: bytes,
        timeout_seconds: float,
    ) -> HttpAnswer:
        self.seen.append({"method": method, "url": url, "headers": headers, "content": content})
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def _answer(body: bytes | dict[str, Any], status: int = 200) -> HttpAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status=status, headers={}, body=raw)


def _said(finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def _client(wire: _Wire, key: str = "sk-test") -> GateClient:
    return GateClient(
        transport=wire,
        base_url="http://127.0.0.1:1/v1/",
        key=Secret(key),
        timeout_seconds=1.0,
    )


async def test_the_text_of_the_only_choice_is_the_answer() -> None:
    body = _said(role="assistant", content="{}")
    wire = _Wire(_answer(body))

    completion = await _client(wire).complete(b"question")

    assert completion == Completion(
        content=b"{}", declined=False, raw_hash=sha256_hex(json.dumps(body).encode())
    )
    assert wire.seen[0]["url"] == "http://127.0.0.1:1/v1/chat/completions"
    assert wire.seen[0]["method"] == "POST"
    assert wire.seen[0]["headers"]["authorization"] == "Bearer sk-test"


async def test_without_a_key_no_authorization_is_sent() -> None:
    wire = _Wire(_answer(_said(content="{}")))

    await _client(wire, key="").complete(b"question")

    assert "authorization" not in wire.seen[0]["headers"]


@pytest.mark.parametrize("body", [_said(refusal="I will not"), _said("content_filter", content="")])
async def test_a_refusal_of_the_model_is_a_decline(body: dict[str, Any]) -> None:
    completion = await _client(_Wire(_answer(body))).complete(b"question")

    assert completion.declined


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(lambda: Unreachable("gone"), ReasonCode.AIGATE_HTTP_ERROR, id="lost"),
        pytest.param(lambda: NotSent("refused"), ReasonCode.AIGATE_HTTP_ERROR, id="not-sent"),
        pytest.param(lambda: _answer({}, 500), ReasonCode.AIGATE_HTTP_ERROR, id="server-error"),
        pytest.param(lambda: _answer({}, 401), ReasonCode.AIGATE_HTTP_ERROR, id="bad-key"),
        pytest.param(lambda: _answer({}, 429), ReasonCode.AIGATE_BUDGET, id="quota"),
        pytest.param(lambda: _answer(b"<html>"), ReasonCode.AIGATE_PARSE_FAIL, id="not-json"),
        pytest.param(lambda: _answer(b"\xff"), ReasonCode.AIGATE_PARSE_FAIL, id="not-utf8"),
        pytest.param(lambda: _answer({"choices": []}), ReasonCode.AIGATE_PARSE_FAIL, id="none"),
        pytest.param(
            lambda: _answer({"choices": _said(content="{}")["choices"] * 2}),
            ReasonCode.AIGATE_PARSE_FAIL,
            id="two-choices",
        ),
        pytest.param(
            lambda: _answer(_said("length", content="{")), ReasonCode.AIGATE_PARSE_FAIL, id="cut"
        ),
        pytest.param(lambda: _answer(_said()), ReasonCode.AIGATE_PARSE_FAIL, id="no-content"),
        pytest.param(
            lambda: _answer(b'{"choices":[{"message":{"content":"\\ud800"}}]}'),
            ReasonCode.AIGATE_PARSE_FAIL,
            id="half-a-character",
        ),
        pytest.param(lambda: _answer(b" " * 65_537), ReasonCode.AIGATE_HTTP_ERROR, id="too-large"),
    ],
)
async def test_no_usable_answer_is_a_typed_failure(
    make: Callable[[], HttpAnswer | Exception], code: ReasonCode
) -> None:
    with pytest.raises(GateFailed) as failed:
        await _client(_Wire(make())).complete(b"question")

    assert failed.value.code is code
    assert "sk-test" not in str(failed.value)
