"""The WebSocket API face: one JSON request per frame, replies and private events on one socket."""

import msgspec
from starlette.websockets import WebSocket

from livespot.exchange.calls import Call
from livespot.exchange.connection_age import converse_for_life
from livespot.exchange.core import ExchangeCore
from livespot.exchange.endpoints import Endpoint, Security, endpoint_of
from livespot.exchange.limits import CONNECT_WEIGHT, TooMuch
from livespot.exchange.model import Json, Rejection
from livespot.exchange.outbound import Outbound, encode
from livespot.exchange.read_params import flag, within_time
from livespot.exchange.reply_watch import ReplyWatch
from livespot.exchange.request_log import RequestLog
from livespot.exchange.serving import charge_refusal, denial, perform
from livespot.exchange.session import Revoked, Session
from livespot.exchange.time_units import in_microseconds, wants_microseconds
from livespot.exchange.trade_calls import order_limits
from livespot.exchange.user_hub import Subscriber
from livespot.exchange.ws_requests import WsRequest, read_request

_SESSION_WEIGHT = 2
_RATE_LIMITS = "returnRateLimits"


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
        host = websocket.client.host if websocket.client else ""
        query = websocket.query_params
        try:
            core.meters.of(host).connect(now_ms, CONNECT_WEIGHT)
            micros = wants_microseconds(query.get("timeUnit"))
            limits = flag(query, _RATE_LIMITS, default=True)
        except Rejection as error:
            await websocket.send_denial_response(denial(error, now_ms))
            return
        self._opened += 1
        outbound = Outbound(f"ws-api-{self._opened}", core.settings.queue_size)
        session = Session(
            core=core,
            subscriber=Subscriber(outbound, micros=micros),
            connected_ms=now_ms,
            return_rate_limits=limits,
        )
        await websocket.accept()
        core.sockets.add(outbound, session.farewell, host)
        watch = ReplyWatch(self._log)
        outbound.left = watch.left
        dialogue = Dialogue(core, session, self._log, host, watch)
        try:
            await converse_for_life(
                websocket, outbound, dialogue.on_text, session.farewell, core.clock, core.settings
            )
        finally:
            core.users.leave(session.subscriber)
            core.sockets.remove(outbound)
            outbound.close()
            watch.close()


class Dialogue:
    """Answers one connection's requests in order."""

    def __init__(
        self, core: ExchangeCore, session: Session, log: RequestLog, host: str, watch: ReplyWatch
    ) -> None:
        self._core = core
        self._session = session
        self._log = log
        self._watch = watch
        self._host = host
        self._meter = core.meters.of(host)

    def on_text(self, text: str) -> None:
        """Answer a frame and journal it."""
        arrival = self._log.arrive()
        outbound = self._session.subscriber.outbound
        request = WsRequest()
        try:
            read_request(text, request)
            answer, outcome = self._answer(request)
        except Rejection as error:
            answer = _Answer(id=request.id, status=error.http_status, error=error.body())
            outcome = f"{error.http_status} {error.code}"
        reply: str = encode(answer)
        if arrival.fate.delivered:
            reply = self._watch.of(reply, arrival.fate.rid)
        delivered = outbound.push(reply)
        if not delivered:
            self._watch.forget(arrival.fate.rid)
        what = ("WS", request.method)
        arrival.answered(outbound.name, what, request.params, outcome, delivered=delivered)

    def _answer(self, request: WsRequest) -> tuple[_Answer, str]:
        """The reply to a readable request. Raises `Rejection` for a bad `returnRateLimits`."""
        now_ms = self._core.clock.now_ms()
        name = request.method.removeprefix("v3/")
        endpoint = endpoint_of(name)
        says_limits = flag(request.params, _RATE_LIMITS, default=self._session.return_rate_limits)
        answer = _Answer(id=request.id, status=200)
        call: Call | None = None
        outcome = "200"
        try:
            self._meter.admit(now_ms)
            if endpoint is None:
                body = self._of_session(name, request.params, now_ms)
            else:
                call = self._call(endpoint, request.params, now_ms)
                answer.status, body = perform(endpoint, call)
                outcome = str(answer.status)
            _place(answer, body)
        except Revoked as error:
            # Not a reply but news about the connection, which is why it names no request.
            return _Answer(id=None, status=401, error=error.body()), "401 -2015"
        except Rejection as error:
            answer.status, answer.error = error.http_status, _error(error, now_ms)
            outcome = f"{error.http_status} {error.code}"
            self._refused(endpoint, request.params, error, now_ms)
        if says_limits:
            answer.rateLimits = self._rate_limits(endpoint, call, now_ms)
        return answer, outcome

    def _of_session(self, name: str, params: dict[str, str], now_ms: int) -> bytes:
        self._meter.charge(_SESSION_WEIGHT, now_ms)
        result = self._session.answer(name, _without_limits(params), now_ms)
        micros = self._session.subscriber.micros
        return msgspec.json.encode(in_microseconds(result) if micros else result)

    def _call(self, endpoint: Endpoint, params: dict[str, str], now_ms: int) -> Call:
        """The request as the endpoint sees it, its sender proven where that is needed."""
        key = None
        if endpoint.security is Security.SIGNED:
            key = self._session.prove(params, now_ms)
        return Call(
            core=self._core,
            params=within_time(_without_limits(params), now_ms),
            now_ms=now_ms,
            host=self._host,
            key=key,
            over_websocket=True,
            micros=self._session.subscriber.micros,
        )

    def _refused(
        self, endpoint: Endpoint | None, params: dict[str, str], error: Rejection, now_ms: int
    ) -> None:
        if error.http_status == 418:
            self._core.sockets.cut(self._host)
        if endpoint is not None:
            charge_refusal(endpoint, self._meter, params, error, now_ms)

    def _rate_limits(self, endpoint: Endpoint | None, call: Call | None, now_ms: int) -> list[Json]:
        limits: list[Json] = []
        if endpoint is not None and endpoint.orders and call is not None:
            limits += order_limits(
                Call(core=self._core, params={}, now_ms=now_ms, host=self._host, key=call.key)
            )
        limits.append(
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._meter.limits.weight_per_minute,
                "count": self._meter.used(now_ms),
            }
        )
        return limits


def _without_limits(params: dict[str, str]) -> dict[str, str]:
    """The parameters a method may read; how its reply is dressed is not its concern."""
    return {name: value for name, value in params.items() if name != _RATE_LIMITS}


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
