"""The WebSocket API face: one JSON request per frame, replies and private events on one socket."""

import msgspec
from starlette.websockets import WebSocket

from livespot.exchange.calls import Call
from livespot.exchange.core import ExchangeCore
from livespot.exchange.endpoints import Endpoint, Security, charge, endpoint_of, perform
from livespot.exchange.limits import TooMuch
from livespot.exchange.model import Json, Rejection
from livespot.exchange.outbound import Outbound, encode
from livespot.exchange.request_log import RequestLog
from livespot.exchange.session import Session
from livespot.exchange.settings import ApiKey
from livespot.exchange.sockets import converse
from livespot.exchange.trade_calls import order_limits
from livespot.exchange.user_hub import Subscriber

_SESSION_WEIGHT = 2
_CONNECT_WEIGHT = 2
_BAD_JSON = Rejection(-1135, "Invalid JSON Request")


class _Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: dict[str, msgspec.Raw] = {}


class _Answer(msgspec.Struct, omit_defaults=True):
    id: int | str | None
    status: int
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Json | msgspec.UnsetType = msgspec.UNSET
    rateLimits: list[Json] | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  wire name


class WsApiFace:
    """Serves `/ws-api/v3`."""

    def __init__(self, core: ExchangeCore, log: RequestLog) -> None:
        self._core = core
        self._log = log
        self._opened = 0

    async def serve(self, websocket: WebSocket) -> None:
        """One connection."""
        core, now_ms = self._core, self._core.clock.now_ms()
        core.meter.charge(_CONNECT_WEIGHT, now_ms)
        self._opened += 1
        outbound = Outbound(f"ws-api-{self._opened}", core.settings.queue_size)
        session = Session(
            core=core,
            subscriber=Subscriber(outbound),
            connected_ms=now_ms,
            return_rate_limits=websocket.query_params.get("returnRateLimits") != "false",
        )
        await websocket.accept()
        core.sockets.add(outbound, lambda event: {"event": event})
        dialogue = Dialogue(core, session, self._log)
        try:
            await converse(websocket, outbound, dialogue.on_text, core.clock)
        finally:
            core.users.leave(session.subscriber)
            core.sockets.remove(outbound)
            outbound.close()


class Dialogue:
    """Answers one connection's requests in order."""

    def __init__(self, core: ExchangeCore, session: Session, log: RequestLog) -> None:
        self._core = core
        self._session = session
        self._log = log

    def on_text(self, text: str) -> None:
        """Answer a frame and journal it."""
        arrival = self._log.arrive()
        outbound = self._session.subscriber.outbound
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.DecodeError:
            answer = _Answer(id=None, status=400, error=_BAD_JSON.body())
            outbound.push(encode(answer))
            arrival.answered(outbound.name, ("WS", ""), {}, "400 -1135", delivered=True)
            return
        params = {name: _plain(raw) for name, raw in request.params.items()}
        answer, outcome = self._answer(request, params)
        delivered = outbound.push(encode(answer))
        what = ("WS", request.method)
        arrival.answered(outbound.name, what, params, outcome, delivered=delivered)

    def _answer(self, request: _Request, params: dict[str, str]) -> tuple[_Answer, str]:
        now_ms = self._core.clock.now_ms()
        name = request.method.removeprefix("v3/")
        endpoint = endpoint_of(name)
        account = ""
        answer = _Answer(id=request.id, status=200)
        outcome = "200"
        try:
            self._core.meter.admit(now_ms)
            if endpoint is None:
                body = self._of_session(name, params, now_ms)
            else:
                key = self._key(endpoint, params, now_ms)
                account = key.account_id if key else ""
                answer.status, body = self._perform(endpoint, params, key, now_ms)
                outcome = str(answer.status)
            _place(answer, body)
        except Rejection as error:
            answer.status, answer.error = error.http_status, _error(error, now_ms)
            outcome = f"{error.http_status} {error.code}"
            self._charge_refused(endpoint, params, error, now_ms)
        if params.get("returnRateLimits", "").lower() != "false" and (
            self._session.return_rate_limits
        ):
            answer.rateLimits = self._rate_limits(endpoint, account, now_ms)
        return answer, outcome

    def _of_session(self, name: str, params: dict[str, str], now_ms: int) -> bytes:
        handler = self._session.method(name)
        if handler is None:
            raise Rejection(-1020, "This operation is not supported.")
        self._core.meter.charge(_SESSION_WEIGHT, now_ms)
        return msgspec.json.encode(handler(params, now_ms))

    def _key(self, endpoint: Endpoint, params: dict[str, str], now_ms: int) -> ApiKey | None:
        if endpoint.security is Security.NONE:
            return None
        return self._session.prove(params, now_ms)

    def _perform(
        self, endpoint: Endpoint, params: dict[str, str], key: ApiKey | None, now_ms: int
    ) -> tuple[int, bytes]:
        call = Call(
            core=self._core,
            params=params,
            now_ms=now_ms,
            account=key.account_id if key else "",
            over_websocket=True,
        )
        status, body = perform(endpoint, call, key)
        charge(endpoint, call, status)
        return status, body

    def _charge_refused(
        self, endpoint: Endpoint | None, params: dict[str, str], error: Rejection, now_ms: int
    ) -> None:
        if isinstance(error, TooMuch):
            if error.http_status == 418:
                self._core.sockets.cut()
        elif endpoint is not None:
            self._core.meter.charge(endpoint.cost(params), now_ms)

    def _rate_limits(self, endpoint: Endpoint | None, account: str, now_ms: int) -> list[Json]:
        limit = self._core.settings.request_limits.weight_per_minute
        limits: list[Json] = []
        if endpoint is not None and endpoint.mutates and account:
            limits += order_limits(Call(core=self._core, params={}, now_ms=now_ms, account=account))
        limits.append(
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": limit,
                "count": self._core.meter.used(now_ms),
            }
        )
        return limits


def _place(answer: _Answer, body: bytes) -> None:
    """Put a body where it belongs: a cancel-replace can fail without being refused outright."""
    if answer.status == 200:
        answer.result = msgspec.Raw(body)
    else:
        answer.error = msgspec.json.decode(body)


def _error(error: Rejection, now_ms: int) -> Json:
    body = error.body()
    if isinstance(error, TooMuch):
        body["data"] = {"serverTime": now_ms, "retryAfter": error.retry_at_ms}
    return body


def _plain(raw: msgspec.Raw) -> str:
    """A parameter as the text that was signed: strings without quotes, the rest as written."""
    text = bytes(raw)
    if text.startswith(b'"'):
        return msgspec.json.decode(text, type=str)
    return text.decode()
