"""Run a request whose sender is known, and charge the sender for it."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec
from starlette.responses import Response

from livespot.exchange.calls import Call
from livespot.exchange.endpoints import Endpoint
from livespot.exchange.limits import TooMuch, WeightMeter
from livespot.exchange.model import Rejection
from livespot.exchange.order_counts import TooManyOrders
from livespot.exchange.read_params import check_names, check_symbol_text
from livespot.exchange.signing import check_time, denied
from livespot.exchange.time_units import in_microseconds


def perform(endpoint: Endpoint, call: Call) -> tuple[int, bytes]:
    """HTTP status and JSON body. Raises `Rejection`; settles and charges what happened."""
    check_names(call.params, endpoint.reads)
    if call.key is not None:
        if symbol := call.params.get("symbol"):
            check_symbol_text("symbol", symbol)
        if endpoint.mutates and not call.key.can_trade:
            raise denied()
        _check_lateness(endpoint, call)
    lags = call.core.reads.lag_ms and call.key is not None and not endpoint.mutates
    try:
        result = endpoint.handler(_lagging(call) if lags else call)
    finally:
        call.core.settle()
    status, body = result if isinstance(result, tuple) else (200, result)
    if not (endpoint.mutates and status == 200):
        call.meter.charge(endpoint.cost(call.params), call.now_ms)
    return status, msgspec.json.encode(in_microseconds(body) if call.micros else body)


def _lagging(call: Call) -> Call:
    """The same call, asking what queries can see by now."""
    return replace(call, core=replace(call.core, engine=call.core.reads.engine()))


def _check_lateness(endpoint: Endpoint, call: Call) -> None:
    """Look at the clock again: what got old on its way here still counts as orders."""
    now_ms = call.core.clock.now_ms()
    try:
        check_time(call.params, now_ms)
    except Rejection:
        if endpoint.orders:
            call.core.engine.count_late(call.account, endpoint.orders, now_ms)
        raise


def charge_refusal(
    endpoint: Endpoint,
    meter: WeightMeter,
    params: Mapping[str, str],
    error: Rejection,
    now_ms: int,
) -> None:
    """A refused request costs what it would have cost, unless it was turned away for its cost."""
    if not isinstance(error, TooMuch):
        meter.charge(endpoint.cost(params), now_ms)


def retry_at_ms(error: Rejection, now_ms: int) -> int | None:
    """When to come back after a refusal for asking too much; None for every other one."""
    if isinstance(error, TooMuch):
        return error.retry_at_ms
    if isinstance(error, TooManyOrders):
        return (now_ms // error.window_ms + 1) * error.window_ms
    return None


def denial(error: Rejection, now_ms: int) -> Response:
    """The answer to a WebSocket handshake that is refused."""
    headers = {}
    if isinstance(error, TooMuch):
        headers["Retry-After"] = str(error.retry_after(now_ms))
    return Response(failure(error), error.http_status, headers, "application/json;charset=UTF-8")


def failure(error: Rejection) -> bytes:
    """The body of a refusal."""
    return msgspec.json.encode(error.body())
