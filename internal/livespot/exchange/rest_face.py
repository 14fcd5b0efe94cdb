"""The REST face: query and body in, JSON and limit headers out."""

from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from livespot.exchange.calls import Call
from livespot.exchange.core import ExchangeCore
from livespot.exchange.endpoints import ENDPOINTS, Endpoint, Security
from livespot.exchange.home_page import home
from livespot.exchange.market_calls import work_ahead
from livespot.exchange.model import Rejection
from livespot.exchange.read_params import read_form, within_time, without_signature
from livespot.exchange.request_log import RequestLog
from livespot.exchange.serving import charge_refusal, failure, perform, retry_at_ms
from livespot.exchange.session import gone
from livespot.exchange.signing import check_encoding, check_signature, check_time, known_key
from livespot.exchange.time_units import wants_microseconds

_BARS = frozenset({"/api/v3/klines", "/api/v3/uiKlines"})
_REMOVED = frozenset({"/api/v3/userDataStream"})
_JSON = "application/json;charset=UTF-8"
_HTML = "text/html"
_FORM = "application/x-www-form-urlencoded"
_NOT_FOUND = b"<!doctype html><title>404</title><p>There is no such path on this exchange.</p>"
_METHODS_OF: dict[str, tuple[str, ...]] = {}
for _method, _path in ENDPOINTS:
    _METHODS_OF[_path] = (*_METHODS_OF.get(_path, ()), _method)


@dataclass(slots=True)
class _Asked:
    """A request as it came in; `params` stays empty until it has been read."""

    request: Request
    query: bytes
    body: bytes
    now_ms: int
    host: str
    params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response and how the journal words it."""

    response: Response
    outcome: str


class RestFace:
    """An ASGI application for everything below the API paths, and the page at `/`."""

    def __init__(self, core: ExchangeCore, log: RequestLog) -> None:
        self._core = core
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, path = Request(scope, receive), str(scope["path"])
        if path == "/" and request.method in ("GET", "HEAD"):
            await home(self._core, request)(scope, receive, send)
            return
        arrival = self._log.arrive()
        conn = f"{request.client.host}:{request.client.port}" if request.client else ""
        what = (request.method, path)
        try:
            body = await request.body() if request.method != "GET" else b""
        except ClientDisconnect:
            arrival.answered(conn, what, {}, "gone", delivered=False)
            return
        if path in _BARS:
            await self._work_ahead(scope["query_string"])
        asked = _Asked(
            request=request,
            query=scope["query_string"],
            body=body,
            now_ms=self._core.clock.now_ms(),
            host=request.client.host if request.client else "",
        )
        answer = self._answer(asked)
        # Asked before the answer goes out: afterwards every connection looks finished.
        lost = await request.is_disconnected()
        await answer.response(scope, receive, send)
        arrival.answered(conn, what, asked.params, answer.outcome, delivered=not lost)

    async def _work_ahead(self, query: bytes) -> None:
        now_ms = self._core.clock.now_ms()
        try:
            params = within_time(read_form(query, b""), now_ms)
        except Rejection:
            return
        await work_ahead(Call(core=self._core, params=params, now_ms=now_ms))

    def _answer(self, asked: _Asked) -> _Answer:
        path = str(asked.request.scope["path"])
        endpoint = ENDPOINTS.get((asked.request.method, path))
        try:
            meter = self._core.meters.of(asked.host)
            meter.count_request(asked.now_ms)
            if path in _REMOVED:
                raise gone()
            if endpoint is None:
                return self._unknown(asked, path)
            meter.admit(asked.now_ms)
            call = self._read(asked, endpoint)
            status, body = perform(endpoint, call)
        except Rejection as error:
            return self._refused(asked, endpoint, error)
        headers = self._used(asked)
        if endpoint.orders:
            headers |= self._order_counts(call)
        return _Answer(Response(body, status, headers, _JSON), str(status))

    def _read(self, asked: _Asked, endpoint: Endpoint) -> Call:
        """The request as the endpoint sees it, its sender proven where that is needed."""
        headers = asked.request.headers
        micros = wants_microseconds(headers.get("X-MBX-TIME-UNIT"))
        kind = headers.get("Content-Type", _FORM).partition(";")[0].strip().lower()
        form = asked.body if kind == _FORM else b""
        asked.params = read_form(asked.query, form)
        key = None
        if endpoint.security is Security.SIGNED:
            key = known_key(self._core.keys, headers.get("X-MBX-APIKEY"))
            check_time(asked.params, asked.now_ms)
            check_encoding(without_signature(asked.query) + without_signature(form))
            payload = without_signature(asked.query) + without_signature(asked.body)
            check_signature(key, payload, asked.params.get("signature"))
        return Call(
            core=self._core,
            params=within_time(asked.params, asked.now_ms),
            now_ms=asked.now_ms,
            host=asked.host,
            key=key,
            micros=micros,
        )

    def _refused(self, asked: _Asked, endpoint: Endpoint | None, error: Rejection) -> _Answer:
        meter = self._core.meters.of(asked.host)
        if error.http_status == 418:
            self._core.sockets.cut(asked.host)
        if endpoint is not None:
            charge_refusal(endpoint, meter, asked.params, error, asked.now_ms)
        headers = self._used(asked)
        until_ms = retry_at_ms(error, asked.now_ms)
        if until_ms is not None:
            headers["Retry-After"] = str(max(1, -(-(until_ms - asked.now_ms) // 1000)))
        response = Response(failure(error), error.http_status, headers, _JSON)
        return _Answer(response, f"{error.http_status} {error.code}")

    def _unknown(self, asked: _Asked, path: str) -> _Answer:
        """404 for a path nobody serves, 405 for a method that a path does not have."""
        status, headers = 404, {}
        if path in _METHODS_OF:
            status, headers = 405, {"Allow": ", ".join(_METHODS_OF[path])}
        if status == 404 and _HTML in asked.request.headers.get("Accept", ""):
            return _Answer(Response(_NOT_FOUND, 404, headers, f"{_HTML};charset=UTF-8"), "404")
        error = Rejection(-1020, "This operation is not supported.", status)
        return _Answer(Response(failure(error), status, headers, _JSON), str(status))

    def _used(self, asked: _Asked) -> dict[str, str]:
        used = str(self._core.meters.of(asked.host).used(asked.now_ms))
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}

    def _order_counts(self, call: Call) -> dict[str, str]:
        ten, day = self._core.engine.order_counts(call.account, call.now_ms)
        return {"X-MBX-ORDER-COUNT-10S": str(ten), "X-MBX-ORDER-COUNT-1D": str(day)}
