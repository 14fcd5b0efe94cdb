"""The REST face: query and body in, JSON and limit headers out."""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from livespot.exchange.calls import Call
from livespot.exchange.core import ExchangeCore
from livespot.exchange.endpoints import ENDPOINTS, Endpoint, Security, charge, failure, perform
from livespot.exchange.limits import TooMuch
from livespot.exchange.model import Rejection
from livespot.exchange.request_log import RequestLog
from livespot.exchange.settings import ApiKey
from livespot.exchange.signing import check_signature, check_time, known_key

_REMOVED = frozenset({"/api/v3/userDataStream"})
_JSON = "application/json;charset=UTF-8"


class RestFace:
    """An ASGI application for everything below the API paths."""

    def __init__(self, core: ExchangeCore, log: RequestLog) -> None:
        self._core = core
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        arrival = self._log.arrive()
        body = await request.body() if request.method != "GET" else b""
        query: bytes = scope["query_string"]
        params = _params(query, body)
        response, outcome = self._answer(request, params, _payload(query) + _payload(body))
        # Asked before the answer goes out: afterwards every connection looks finished.
        gone = await request.is_disconnected()
        await response(scope, receive, send)
        conn = f"{request.client.host}:{request.client.port}" if request.client else ""
        what = (request.method, request.url.path)
        arrival.answered(conn, what, params, outcome, delivered=not gone)

    def _answer(
        self, request: Request, params: dict[str, str], payload: bytes
    ) -> tuple[Response, str]:
        path = request.url.path
        if path in _REMOVED:
            gone = Rejection(-1020, "This operation is not supported.", 410)
            return Response(failure(gone), 410, media_type=_JSON), "410 -1020"
        endpoint = ENDPOINTS.get((request.method, path))
        if endpoint is None:
            return Response(b"", 404, media_type=_JSON), "404"
        now_ms = self._core.clock.now_ms()
        key: ApiKey | None = None
        headers: dict[str, str] = {}
        try:
            self._core.meter.admit(now_ms)
            if endpoint.security is Security.SIGNED:
                key = self._proven(request, params, payload, now_ms)
            call = Call(
                core=self._core,
                params=params,
                now_ms=now_ms,
                account=key.account_id if key else "",
            )
            status, body = perform(endpoint, call, key)
            charge(endpoint, call, status)
            outcome = str(status)
            if key is not None and endpoint.mutates and request.method == "POST":
                headers = self._order_counts(key, now_ms)
        except Rejection as error:
            status, body = error.http_status, failure(error)
            outcome = f"{status} {error.code}"
            headers = self._refused(endpoint, params, error, now_ms)
        used = str(self._core.meter.used(now_ms))
        headers |= {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        return Response(body, status, headers, _JSON), outcome

    def _proven(
        self, request: Request, params: dict[str, str], payload: bytes, now_ms: int
    ) -> ApiKey:
        key = known_key(self._core.keys, request.headers.get("X-MBX-APIKEY"))
        check_time(params, now_ms)
        check_signature(key, payload, params.get("signature"))
        return key

    def _order_counts(self, key: ApiKey, now_ms: int) -> dict[str, str]:
        ten, day = self._core.engine.order_counts(key.account_id, now_ms)
        return {"X-MBX-ORDER-COUNT-10S": str(ten), "X-MBX-ORDER-COUNT-1D": str(day)}

    def _refused(
        self, endpoint: Endpoint, params: dict[str, str], error: Rejection, now_ms: int
    ) -> dict[str, str]:
        if isinstance(error, TooMuch):
            if error.http_status == 418:
                self._core.sockets.cut()
            return {"Retry-After": str(-(-(error.retry_at_ms - now_ms) // 1000))}
        self._core.meter.charge(endpoint.cost(params), now_ms)
        if error.http_status == 429:
            return {"Retry-After": str(-(-(10_000 - now_ms % 10_000) // 1000))}
        return {}


def _params(query: bytes, body: bytes) -> dict[str, str]:
    """Decoded parameters; the query wins over the body."""
    found: dict[str, str] = {}
    for part in (body, query):
        found.update(parse_qsl(part.decode("utf-8", "replace"), keep_blank_values=True))
    return found


def _payload(part: bytes) -> bytes:
    """The part as sent, without its signature."""
    return b"&".join(pair for pair in part.split(b"&") if not pair.startswith(b"signature="))
