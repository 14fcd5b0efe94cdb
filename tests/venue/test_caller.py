"""REST: reads are retried with care, mutations go out once, secrets stay inside."""

from decimal import Decimal

import pytest

from livespot.contracts.errors import (
    ClockRefused,
    FilterRefused,
    KeyRefused,
    LivespotError,
    NoSuchOrder,
    NotSent,
    OutcomeUnknown,
    PayloadInvalid,
    Refused,
    Throttled,
    Unreachable,
)
from livespot.contracts.orders import CancelReplaceRequest, CancelRequest, OrderRequest
from livespot.contracts.secret import Secret
from livespot.contracts.transport import HttpAnswer
from livespot.contracts.vocabulary import Interval, OrderType, Side
from livespot.testing.clock import ManualClock
from livespot.testing.scripted_http import ScriptedHttp, answer
from livespot.venue.caller import RestCaller
from livespot.venue.query import query_string
from livespot.venue.rest import BinanceRest
from livespot.venue.rest_orders import RestOrders
from livespot.venue.signing import HmacSigner

_CANARY = "canary-0d9f4e6b1c73"
_NOW = 1_700_000_000_000
_ORDER = OrderRequest(
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.MARKET,
    qty=Decimal(1),
    client_order_id="x-1",
    recv_window_ms=1500,
)
_CANCEL = CancelRequest(symbol="BTCUSDT", client_order_id="c-1", order_id=7)


def _caller(http: ScriptedHttp) -> RestCaller:
    return RestCaller(
        transport=http,
        base_url="http://exchange.test",
        clock=ManualClock(_NOW),
        signer=HmacSigner(api_key=Secret(f"key-{_CANARY}"), secret=Secret(_CANARY)),
    )


def _slept(caller: RestCaller) -> list[float]:
    clock = caller.clock
    assert isinstance(clock, ManualClock)
    return clock.slept


def _refusal(code: int, msg: str, status: int = 400, **headers: str) -> HttpAnswer:
    return answer(f'{{"code":{code},"msg":"{msg}"}}'.encode(), status, **headers)


def _time(ahead_ms: int) -> HttpAnswer:
    return answer(f'{{"serverTime":{_NOW + ahead_ms}}}'.encode())


async def test_a_signed_read_carries_key_time_window_and_signature_last(
    rest: dict[str, bytes],
) -> None:
    http = ScriptedHttp(answer(rest["openOrders"]))
    caller = _caller(http)

    orders = await BinanceRest(caller).open_orders("LTCBTC")

    (asked,) = http.asked
    params = asked.params
    signature = params.pop("signature")
    signer = HmacSigner(api_key=Secret(""), secret=Secret(_CANARY))
    assert signature == signer.sign(query_string(params.items()).encode())
    assert asked.url.endswith(signature)
    assert params == {"recvWindow": "5000", "symbol": "LTCBTC", "timestamp": str(_NOW)}
    assert asked.headers == {"X-MBX-APIKEY": f"key-{_CANARY}"}
    assert len(orders) == 1


async def test_a_read_is_tried_three_times_with_growing_pauses(rest: dict[str, bytes]) -> None:
    http = ScriptedHttp(Unreachable("lost"), NotSent("refused"), answer(rest["klines"]))
    caller = _caller(http)

    candles = await BinanceRest(caller).klines("LTCBTC", Interval.M1, limit=5)

    assert (len(candles), len(http.asked)) == (1, 3)
    assert _slept(caller) == [0.2, 0.4]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ((answer(b"", 502),) * 3, Unreachable),
        ((NotSent("refused"),) * 3, Unreachable),
        ((answer(b"<html>", 403),), Unreachable),
        ((_refusal(-2013, "Order does not exist."),), NoSuchOrder),
        ((_refusal(-2015, "Invalid API-key.", 401),), KeyRefused),
        ((answer(b"<html>"),), PayloadInvalid),
        ((_refusal(-1003, "Too many requests queued.", 429, retry_after="37"),), Throttled),
    ],
    ids=[
        "server error",
        "no connection",
        "firewall",
        "no such order",
        "key",
        "unreadable",
        "throttled",
    ],
)
async def test_a_failing_read_ends_in_its_error(
    script: tuple[HttpAnswer | Exception, ...], kind: type[LivespotError]
) -> None:
    http = ScriptedHttp(*script)

    with pytest.raises(kind):
        await BinanceRest(_caller(http)).order("BTCUSDT", client_order_id="x-1")

    assert len(http.asked) == len(script)


@pytest.mark.parametrize("set_by_ms", [93_000, -93_000])
async def test_a_clock_that_is_set_neither_ends_nor_prolongs_a_silence(
    rest: dict[str, bytes], set_by_ms: int
) -> None:
    throttled = _refusal(-1003, "Too much request weight used.", 429, retry_after="18")
    http = ScriptedHttp(throttled, answer(rest["openOrders"]))
    caller = _caller(http)
    clock = caller.clock
    assert isinstance(clock, ManualClock)
    with pytest.raises(Throttled):
        await BinanceRest(caller).open_orders("LTCBTC")

    clock.advance(1_000)
    clock.wall_ms += set_by_ms
    with pytest.raises(Throttled):
        await BinanceRest(caller).open_orders("LTCBTC")
    clock.advance(17_500)
    orders = await BinanceRest(caller).open_orders("LTCBTC")

    assert len(orders) == 1
    assert len(http.asked) == 2


async def test_a_silence_is_kept_by_everything_that_shares_the_budget() -> None:
    http = ScriptedHttp(_refusal(-1003, "banned", 418, retry_after="120"))
    caller = _caller(http)
    with pytest.raises(Throttled):
        await BinanceRest(caller).account()

    with pytest.raises(Throttled) as caught:
        await RestOrders(caller, timeout_seconds=8).cancel(_CANCEL)

    assert caught.value.banned
    assert len(http.asked) == 1


async def test_a_read_that_the_budget_holds_back_keeps_its_turn_to_try_a_rejected_key(
    rest: dict[str, bytes],
) -> None:
    http = ScriptedHttp(_refusal(-2015, "Invalid API-key", 401), answer(rest["account"]))
    caller = _caller(http)
    with pytest.raises(KeyRefused):
        await BinanceRest(caller).account()
    await caller.clock.sleep(2)
    caller.budget.silence(Throttled(retry_after_ms=1000, banned=False))

    await BinanceRest(caller).account()

    assert len(http.asked) == 2
    assert caller.key.rejection is None


async def test_a_refused_clock_is_measured_again_and_a_read_tried_once_more(
    rest: dict[str, bytes],
) -> None:
    refused = _refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
    http = ScriptedHttp(refused, *[_time(6000)] * 5, answer(rest["openOrders"]))
    caller = _caller(http)

    await BinanceRest(caller).open_orders("LTCBTC")

    assert caller.server_clock.offset_ms == 6000
    assert http.asked[-1].params["timestamp"] == str(_NOW + 6000)


async def test_a_clock_refused_twice_is_not_tried_again() -> None:
    refused = _refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    http = ScriptedHttp(refused, *[_time(0)] * 5, refused)

    with pytest.raises(ClockRefused):
        await BinanceRest(_caller(http)).account()

    assert len(http.asked) == 7


_UNKNOWN = [
    pytest.param(Unreachable("lost"), id="lost"),
    pytest.param(answer(b"<html>", 502), id="bad gateway"),
    pytest.param(answer(b"", 403), id="firewall"),
    pytest.param(answer(b"", 200), id="empty success"),
    pytest.param(answer(b'{"symbol":"BTC', 200), id="cut success"),
    pytest.param(answer(b"\xff\xfe{", 400), id="wrong charset"),
    pytest.param(_refusal(-1007, "Timeout", 504), id="engine timeout"),
    pytest.param(_refusal(-1006, "Unexpected"), id="unexpected"),
]


@pytest.mark.parametrize("step", _UNKNOWN)
async def test_a_placement_without_a_definite_answer_is_unknown_and_never_resent(
    step: HttpAnswer | Exception,
) -> None:
    http = ScriptedHttp(step)

    with pytest.raises(OutcomeUnknown) as caught:
        await RestOrders(_caller(http), timeout_seconds=8).place(_ORDER)

    assert caught.value.client_order_id == "x-1"
    assert len(http.asked) == 1


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (NotSent("refused"), NotSent),
        (_refusal(-2010, "Account has insufficient balance for requested action."), Refused),
        (_refusal(-1013, "Filter failure: LOT_SIZE"), FilterRefused),
        (_refusal(-1021, "Timestamp for this request is outside of the recvWindow."), ClockRefused),
        (_refusal(-1015, "Too many new orders", 429), Throttled),
    ],
)
async def test_a_definite_refusal_of_a_placement_is_not_retried(
    step: HttpAnswer | Exception, kind: type[LivespotError]
) -> None:
    http = ScriptedHttp(step)

    with pytest.raises(kind):
        await RestOrders(_caller(http), timeout_seconds=8).place(_ORDER)

    assert len(http.asked) == 1


async def test_a_placement_brings_its_fills_and_the_order_counts(rest: dict[str, bytes]) -> None:
    counted = answer(rest["order_full"], x_mbx_used_weight_1m="42", x_mbx_order_count_10s="25")
    http = ScriptedHttp(answer(rest["exchangeInfo_composed"]), counted)
    caller = _caller(http)
    await BinanceRest(caller).exchange_info()

    placed = await RestOrders(caller, timeout_seconds=8).place(_ORDER)

    assert http.asked[-1].method == "POST"
    assert http.asked[-1].params["recvWindow"] == "1500"
    assert len(placed.updates[0].fills) == 5
    assert (caller.budget.used_weight, caller.budget.unfilled_orders_pct) == (42, 50)


@pytest.mark.parametrize(
    ("name", "status", "placed"),
    [
        ("cancelReplace_success", 200, True),
        ("cancelReplace_new_failed", 409, False),
        ("cancelReplace_stop_cancel_failed", 400, False),
    ],
)
async def test_cancel_replace_answers_with_its_halves_at_any_status(
    rest: dict[str, bytes], name: str, status: int, placed: bool
) -> None:
    orders = RestOrders(_caller(ScriptedHttp(answer(rest[name], status))), timeout_seconds=8)

    result = await orders.cancel_replace(CancelReplaceRequest(cancel=_CANCEL, order=_ORDER))

    assert (result.placed is not None) is placed


async def test_cancel_replace_over_the_order_limit_did_nothing(rest: dict[str, bytes]) -> None:
    http = ScriptedHttp(answer(rest["cancelReplace_ratelimit_do_nothing"], 429))
    orders = RestOrders(_caller(http), timeout_seconds=8)

    with pytest.raises(Throttled) as caught:
        await orders.cancel_replace(CancelReplaceRequest(cancel=_CANCEL, order=_ORDER))

    assert caught.value.orders_only


async def test_without_a_key_nothing_signed_leaves() -> None:
    http = ScriptedHttp()
    caller = RestCaller(transport=http, base_url="http://exchange.test", clock=ManualClock())

    with pytest.raises(KeyRefused):
        await BinanceRest(caller).account()

    assert http.asked == []


@pytest.mark.parametrize("step", [*_UNKNOWN, pytest.param(_refusal(-1022, "No."), id="refused")])
async def test_no_error_shows_a_secret_or_a_signature(step: HttpAnswer | Exception) -> None:
    http = ScriptedHttp(step)

    with pytest.raises(LivespotError) as caught:
        await RestOrders(_caller(http), timeout_seconds=8).place(_ORDER)

    signature = http.asked[0].params["signature"]
    error: BaseException | None = caught.value
    while error is not None:
        shown = f"{error!r} {error} {error.args}"
        assert _CANARY not in shown
        assert signature not in shown
        error = error.__cause__ or error.__context__
