"""A deterministic stand-in for a model server: allows everything unless a script says otherwise."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from livespot.contracts.ports import Clock

Json = dict[str, Any]

# Where a request's scope carries the answer a fault demands.
SCRIPT = "livespot.script"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """One prepared answer; `{input_hash}` in the content is filled in.

    `content` None means the usual ALLOW; `raw_body` replaces the whole HTTP body.
    """

    content: str | None = None
    raw_body: bytes | None = None
    status: int = 200
    delay_seconds: float = 0.0


class ModelGate:
    """Answers chat completions; scripted answers are used up first, in order."""

    def __init__(self, clock: Clock, answers: Sequence[ScriptedAnswer] = ()) -> None:
        self._clock = clock
        self._answers = list(answers)
        self._served = 0

    async def answer(
        self, body: bytes, demanded: ScriptedAnswer | None = None
    ) -> tuple[int, bytes]:
        """HTTP status and body for one request body; a demanded answer goes before the script."""
        self._served += 1
        script = demanded or (self._answers.pop(0) if self._answers else ScriptedAnswer())
        if script.delay_seconds > 0:
            await self._clock.sleep(script.delay_seconds)
        payload = last_line(body)
        if payload is None:
            return 400, error_body("messages must end with a user message")
        if script.raw_body is not None:
            return script.status, script.raw_body
        if script.status != 200:
            return script.status, error_body("scripted failure")
        digest = hashlib.sha256(payload.encode()).hexdigest()
        content = allow(digest)
        if script.content is not None:
            content = script.content.replace("{input_hash}", digest)
        return 200, self._completion(content)

    def _completion(self, content: str) -> bytes:
        return msgspec.json.encode(
            {
                "id": f"chatcmpl-{self._served}",
                "object": "chat.completion",
                "created": self._clock.now_ms() // 1000,
                "model": "livespot-gate-double",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": content},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            }
        )


def last_line(body: bytes) -> str | None:
    """The last line of the last user message: the canonical payload. None if there is none."""
    try:
        request = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list):
        return None
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            return content.rstrip("\n").rsplit("\n", 1)[-1] if isinstance(content, str) else None
    return None


def allow(input_hash: str) -> str:
    """The verdict that lets a decision pass unchanged."""
    return msgspec.json.encode(
        {
            "verdict": "ALLOW",
            "reasons": ["AIGATE_ALLOWED"],
            "input_hash": input_hash,
            "modified_decision": None,
        }
    ).decode()


def error_body(message: str) -> bytes:
    """A refusal in the shape model servers use."""
    return msgspec.json.encode({"error": {"message": message, "type": "invalid_request_error"}})
