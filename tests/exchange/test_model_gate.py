"""The embedded model server allows, unless a script says otherwise."""

import hashlib
import json
from typing import Any

import pytest

from livespot.exchange.model_gate import ModelGate, ScriptedAnswer
from livespot.testing.clock import ManualClock

PAYLOAD = '{"decision_id":"d1","edge_bps":30}'


def question(content: object = f"Judge this decision.\n{PAYLOAD}") -> bytes:
    messages = [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": content},
    ]
    return json.dumps({"model": "m", "temperature": 0, "messages": messages}).encode()


def verdict(body: bytes) -> Any:
    return json.loads(json.loads(body)["choices"][0]["message"]["content"])


async def test_it_allows_and_echoes_the_hash_of_the_last_line() -> None:
    status, body = await ModelGate(ManualClock()).answer(question())

    assert status == 200
    assert verdict(body) == {
        "verdict": "ALLOW",
        "reasons": ["AIGATE_ALLOWED"],
        "input_hash": hashlib.sha256(PAYLOAD.encode()).hexdigest(),
        "modified_decision": None,
    }


async def test_the_same_question_gets_the_same_verdict() -> None:
    gate = ModelGate(ManualClock())

    first, second = await gate.answer(question()), await gate.answer(question())

    assert verdict(first[1]) == verdict(second[1])


async def test_scripted_answers_come_first_and_in_order() -> None:
    clock = ManualClock()
    block = '{"verdict":"BLOCK","reasons":["AIGATE_BLOCKED"],"input_hash":"{input_hash}"}'
    gate = ModelGate(
        clock,
        [
            ScriptedAnswer(content=block, delay_seconds=2.5),
            ScriptedAnswer(status=503),
            ScriptedAnswer(raw_body=b"<html>"),
        ],
    )

    blocked = await gate.answer(question())
    failed = await gate.answer(question())
    garbled = await gate.answer(question())
    allowed = await gate.answer(question())

    assert verdict(blocked[1])["verdict"] == "BLOCK"
    assert verdict(blocked[1])["input_hash"] == hashlib.sha256(PAYLOAD.encode()).hexdigest()
    assert clock.slept == [2.5]
    assert failed[0] == 503
    assert garbled == (200, b"<html>")
    assert verdict(allowed[1])["verdict"] == "ALLOW"


async def test_a_demanded_answer_goes_before_the_script_and_does_not_use_it_up() -> None:
    gate = ModelGate(ManualClock(), [ScriptedAnswer(status=503)])

    demanded = await gate.answer(question(), ScriptedAnswer(raw_body=b"{", status=429))
    scripted = await gate.answer(question())

    assert demanded == (429, b"{")
    assert scripted[0] == 503


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="not-json"),
        pytest.param(b"[]", id="not-an-object"),
        pytest.param(b'{"messages":[]}', id="no-messages"),
        pytest.param(b'{"messages":[{"role":"system","content":"x"}]}', id="no-user"),
        pytest.param(question(["parts"]), id="not-text"),
    ],
)
async def test_a_question_without_payload_is_a_bad_request(body: bytes) -> None:
    status, answer = await ModelGate(ManualClock()).answer(body)

    assert status == 400
    assert "error" in json.loads(answer)
