"""Read one frame of the WebSocket API into an id, a method and its parameters as text."""

import re
from dataclasses import dataclass, field

import msgspec

from livespot.exchange.model import Rejection
from livespot.exchange.read_params import illegal
from livespot.exchange.signing import missing

_LONGEST_ID = 36
_INT64 = 2**63
_METHOD = re.compile(r"[A-Za-z0-9.]{1,64}|v3/[A-Za-z0-9.]{1,64}")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class WsRequest:
    """What could be read of a frame so far: a refusal echoes the id if that was among it."""

    id: int | str | None = None
    method: str = ""
    params: dict[str, str] = field(default_factory=dict)


def read_request(text: str, request: WsRequest) -> None:
    """Fill in a request from a frame; -1135 for broken JSON, -1100 or -1102 for broken members."""
    members = _members(text.encode(errors="replace"))
    request.id = _id(members.get("id"))
    request.method = _method(members.get("method"))
    raw = members.get("params")
    if raw is None or bytes(raw) == b"null":
        return
    for name, value in _members(bytes(raw)).items():
        request.params[name] = _plain(name, value)


def _members(text: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejection(-1135, "Invalid JSON Request") from error


def _id(raw: msgspec.Raw | None) -> int | str | None:
    value = None if raw is None else _value(raw)
    if value is None:
        return None
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_ID:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return value
    raise illegal("id", "^[a-zA-Z0-9-_]{1,36}$")


def _method(raw: msgspec.Raw | None) -> str:
    value = None if raw is None else _value(raw)
    if not isinstance(value, str) or not value:
        raise missing("method")
    if _METHOD.fullmatch(value) is None:
        raise illegal("method", "^[a-zA-Z0-9./]{1,64}$")
    return value


def _plain(name: str, raw: msgspec.Raw) -> str:
    """A parameter as the text that was signed: strings without quotes, the rest as written."""
    value = _value(raw)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        raise Rejection(-1135, f"JSON sent for parameter '{name}' is not valid")
    return bytes(raw).decode()


def _value(raw: msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejection(-1135, "Invalid JSON Request") from error
