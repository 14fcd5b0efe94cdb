"""One question to an OpenAI-compatible server: sent once, answered or failed by a typed error."""

from dataclasses import dataclass
from typing import Protocol

import msgspec

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Refused, Transient
from livespot.contracts.secret import Secret
from livespot.contracts.transport import HttpTransport

_MAX_BODY_BYTES = 65_536
_TOO_MANY_REQUESTS = 429
_OK = 200


class GateFailed(Transient):
    """No usable answer. `detail` is in our own words; `raw_hash` is of the answer, if any came."""

    def __init__(self, code: ReasonCode, detail: str, *, raw_hash: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.raw_hash = raw_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The model's text. `declined` when the server says the model refused to answer."""

    content: bytes
    declined: bool
    raw_hash: str


class GateModel(Protocol):
    """Anything that completes a chat request: a server, or a record of what one answered."""

    async def complete(self, request: bytes) -> Completion:
        """The completion. Raises `GateFailed`; the caller sets the time limit."""
        ...


class _Said(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Said
    finish_reason: str | None = None


class _Body(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateClient:
    """`base_url` ends before `/chat/completions`. An empty key sends no authorization."""

    transport: HttpTransport
    base_url: str
    key: Secret
    timeout_seconds: float

    async def complete(self, request: bytes) -> Completion:
        """Send a chat request. Raises `GateFailed`; the caller sets the time limit."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key.reveal()}"
        try:
            answer = await self.transport.request(
                "POST",
                self.base_url.rstrip("/") + "/chat/completions",
                headers=headers,
                content=request,
                timeout_seconds=self.timeout_seconds,
            )
        except (Transient, Refused) as error:
            # The transport's text may quote an address, so only the kind of failure is kept.
            raise GateFailed(
                ReasonCode.AIGATE_HTTP_ERROR, f"no answer: {type(error).__name__}"
            ) from error
        raw_hash = sha256_hex(answer.body)
        if answer.status == _TOO_MANY_REQUESTS:
            raise GateFailed(ReasonCode.AIGATE_BUDGET, "the server's quota is used up")
        if answer.status != _OK:
            raise GateFailed(
                ReasonCode.AIGATE_HTTP_ERROR, f"HTTP status {answer.status}", raw_hash=raw_hash
            )
        return _read(answer.body, raw_hash)


def _read(body: bytes, raw_hash: str) -> Completion:
    if len(body) > _MAX_BODY_BYTES:
        raise GateFailed(
            ReasonCode.AIGATE_HTTP_ERROR, f"longer than {_MAX_BODY_BYTES} bytes", raw_hash=raw_hash
        )
    try:
        choices = msgspec.json.decode(body, type=_Body).choices
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GateFailed(
            ReasonCode.AIGATE_PARSE_FAIL, "not a chat completion", raw_hash=raw_hash
        ) from error
    if len(choices) != 1:
        raise GateFailed(ReasonCode.AIGATE_PARSE_FAIL, "not exactly one choice", raw_hash=raw_hash)
    said = choices[0].message
    if said.refusal or choices[0].finish_reason == "content_filter":
        return Completion(content=b"", declined=True, raw_hash=raw_hash)
    if choices[0].finish_reason == "length" or said.content is None:
        raise GateFailed(ReasonCode.AIGATE_PARSE_FAIL, "the answer was cut off", raw_hash=raw_hash)
    return Completion(content=said.content.encode(), declined=False, raw_hash=raw_hash)
