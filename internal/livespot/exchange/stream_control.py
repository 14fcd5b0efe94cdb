"""Control messages of the market streams: what a client may ask and how it is answered."""

import re
from typing import Any

import msgspec

from livespot.exchange.market_hub import MarketHub
from livespot.exchange.stream_channels import Listener

MOST_STREAMS = 1024
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
# How many params each method takes at most; None for any number.
_MOST_PARAMS = {"LIST_SUBSCRIPTIONS": 0, "SET_PROPERTY": 2, "GET_PROPERTY": 1}
_INT64 = range(-(1 << 63), 1 << 63)
_LONGEST_ID = 36
_MISSING = object()
_BYTE = re.compile(r"\(byte (\d+)\)")


class ControlError(Exception):
    """A control message that is refused; only some refusals repeat the request's id."""

    def __init__(self, code: int, msg: str, *, names_request: bool = False) -> None:
        super().__init__(msg)
        self.code = code
        self.names_request = names_request


def invalid(what: str) -> ControlError:
    """The request is JSON but not a request."""
    return ControlError(2, f"Invalid request: {what}")


class Control:
    """Answers one client's control messages."""

    def __init__(self, hub: MarketHub, listener: Listener) -> None:
        self._hub = hub
        self._listener = listener

    def reply(self, text: str) -> dict[str, Any]:
        """The answer to a control message."""
        number: object = None
        try:
            request = _decode(text)
            method = _method(request, text)
            number = _request_id(request)
            return {"result": self._act(method, _params(request, method)), "id": number}
        except ControlError as error:
            body = {"code": error.code, "msg": str(error)}
            return body | ({"id": number} if error.names_request else {})

    def _act(self, method: str, params: list[object]) -> object:
        match method:
            case "LIST_SUBSCRIPTIONS":
                return list(self._listener.streams)
            case "SUBSCRIBE" | "UNSUBSCRIBE":
                self._change(method, params)
                return None
            case _:
                return self._property(method, params)

    def _change(self, method: str, params: list[object]) -> None:
        names = [name for name in params if isinstance(name, str)]
        if len(names) != len(params):
            raise invalid("stream name must be a string")
        if method == "UNSUBSCRIBE":
            for name in names:
                self._hub.unsubscribe(self._listener, name)
            return
        if len(self._listener.streams | dict.fromkeys(names)) > MOST_STREAMS:
            raise invalid("too many parameters")
        for name in names:
            self._hub.subscribe(self._listener, name)

    def _property(self, method: str, params: list[object]) -> object:
        name = params[0] if params else None
        if not isinstance(name, str):
            raise invalid("property name must be a string")
        if name != "combined":
            raise ControlError(0, "Unknown property", names_request=True)
        if method == "GET_PROPERTY":
            return self._listener.combined
        value = params[1] if len(params) > 1 else None
        if not isinstance(value, bool):
            raise ControlError(1, "Invalid value type: expected Boolean")
        self._listener.combined = value
        return None


def _decode(text: str) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        line, column = _place(text, str(error))
        raise ControlError(
            3, f"Invalid JSON: expected value at line {line} column {column}"
        ) from error
    if not isinstance(request, dict):
        raise invalid("expected an object")
    return request


def _place(text: str, complaint: str) -> tuple[int, int]:
    """Line and column, from one, of the byte a JSON complaint names; else of the text's end."""
    found = _BYTE.search(complaint)
    data = text.encode()
    before = data[: int(found[1])] if found else data
    line = before.count(b"\n") + 1
    return line, len(before) - (before.rfind(b"\n") + 1) + (1 if found else 0)


def _method(request: dict[str, Any], text: str) -> str:
    method = request.get("method")
    if method is None:
        raise invalid(f"missing field `method` at line 1 column {len(text)}")
    if method not in _METHODS:
        column = text.find(str(method)) + len(str(method)) + 1
        expected = ", ".join(f"`{name}`" for name in _METHODS)
        raise invalid(
            f"unknown variant `{method}`, expected one of {expected} at line 1 column {column}"
        )
    return str(method)


def _request_id(request: dict[str, Any]) -> int | str | None:
    number = request.get("id", _MISSING)
    if number is None:
        return None
    if isinstance(number, int) and not isinstance(number, bool) and number in _INT64:
        return number
    if isinstance(number, str) and len(number) <= _LONGEST_ID:
        return number
    raise invalid("request ID must be an unsigned integer")


def _params(request: dict[str, Any], method: str) -> list[object]:
    params = request.get("params") or []
    if not isinstance(params, list):
        raise invalid("params must be an array")
    most = _MOST_PARAMS.get(method)
    if most is not None and len(params) > most:
        raise invalid("too many parameters")
    return params
