"""Whatever a client sends, the exchange answers in a documented shape and keeps its books.

A longer run: `pytest tests/exchange/test_random_requests.py --hypothesis-profile=long`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.exchange.desk import START_MS, SYMBOL, Desk, Talk, open_desk, sign

from livespot.exchange.endpoints import ENDPOINTS, WS_METHODS, Security, endpoint_of
from livespot.exchange.model import AccountSpec, OrderLimits
from livespot.exchange.session import SESSION_METHODS
from livespot.exchange.settings import ExchangeSettings, RequestLimits
from livespot.testing.clock import ManualClock

RICH = AccountSpec(account_id="demo", balances={"USDT": Decimal(10**7), "SOL": Decimal(10**6)})
NO_LIMIT = RequestLimits(weight_per_minute=10**12, raw_requests=10**12)
ORDER = "symbol side type quantity"
ORDER_REST = (
    "price timeInForce quoteOrderQty newClientOrderId strategyId strategyType stopPrice "
    "trailingDelta icebergQty newOrderRespType selfTradePreventionMode pegPriceType "
    "pegOffsetValue pegOffsetType"
)
REPLACE_REST = (
    "cancelOrigClientOrderId cancelNewClientOrderId cancelRestrictions orderRateLimitExceededMode"
)
LIST_REST = "listClientOrderId newOrderRespType selfTradePreventionMode"
OCO = "aboveType abovePrice belowType belowPrice belowStopPrice belowTimeInForce"
WORKING = "workingType workingSide workingPrice workingQuantity workingTimeInForce pendingSide"
PENDING_OCO = (
    "pendingAboveType pendingAbovePrice pendingBelowType pendingBelowPrice pendingBelowStopPrice "
    "pendingBelowTimeInForce"
)
SPAN = "startTime endTime limit"
WHICH = "orderId origClientOrderId"
# What each signed request takes: (what a right one carries, what it may carry besides).
SIGNED = {
    "POST order": (f"{ORDER} price timeInForce", ORDER_REST),
    "POST order/test": (f"{ORDER} price timeInForce", f"{ORDER_REST} computeCommissionRates"),
    "GET order": ("symbol orderId", WHICH),
    "DELETE order": ("symbol orderId", f"{WHICH} newClientOrderId cancelRestrictions"),
    "POST order/cancelReplace": (
        f"{ORDER} price timeInForce cancelReplaceMode cancelOrderId",
        f"{ORDER_REST} {REPLACE_REST}",
    ),
    "PUT order/amend/keepPriority": ("symbol orderId newQty", f"{WHICH} newClientOrderId"),
    "GET order/amendments": ("symbol orderId", "fromExecutionId limit"),
    "GET openOrders": ("symbol", ""),
    "DELETE openOrders": ("symbol", ""),
    "GET allOrders": ("symbol", f"orderId {SPAN}"),
    "POST order/oco": (
        "symbol side quantity price stopPrice stopLimitPrice stopLimitTimeInForce",
        f"trailingDelta limitIcebergQty {LIST_REST}",
    ),
    "POST orderList/oco": (
        f"symbol side quantity {OCO}",
        f"aboveStopPrice aboveTimeInForce aboveTrailingDelta belowIcebergQty {LIST_REST}",
    ),
    "POST orderList/oto": (
        f"symbol {WORKING} pendingType pendingQuantity pendingPrice pendingTimeInForce",
        f"pendingStopPrice pendingIcebergQty workingClientOrderId {LIST_REST}",
    ),
    "POST orderList/otoco": (f"symbol {WORKING} pendingQuantity {PENDING_OCO}", LIST_REST),
    "POST orderList/opo": (
        f"symbol {WORKING} pendingType pendingPrice pendingTimeInForce",
        f"pendingQuantity pendingStopPrice {LIST_REST}",
    ),
    "POST orderList/opoco": (f"symbol {WORKING} {PENDING_OCO}", f"pendingQuantity {LIST_REST}"),
    "DELETE orderList": ("symbol orderListId", "listClientOrderId newClientOrderId"),
    "GET orderList": ("orderListId", "origClientOrderId"),
    "GET openOrderList": ("", ""),
    "GET allOrderList": ("", f"fromId {SPAN}"),
    "GET account": ("", "omitZeroBalances"),
    "GET account/commission": ("symbol", ""),
    "GET myTrades": ("symbol", f"orderId fromId {SPAN}"),
    "GET myPreventedMatches": ("symbol orderId", "preventedMatchId fromPreventedMatchId limit"),
    "GET myAllocations": ("symbol", f"{SPAN} fromAllocationId orderId"),
    "GET myFilters": ("symbol", ""),
    "GET rateLimit/order": ("", ""),
}
NEEDED = {
    "klines": "symbol interval",
    "uiKlines": "symbol interval",
    "ticker": "symbol",
    "ticker/tradingDay": "symbol",
}
SINGLE = (
    "depth",
    "trades",
    "historicalTrades",
    "aggTrades",
    "avgPrice",
    "referencePrice",
    "referencePrice/calculation",
)
TYPES = (
    "LIMIT",
    "MARKET",
    "LIMIT_MAKER",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
LIKELY: dict[str, tuple[str, ...]] = {
    "symbol": (*(SYMBOL,) * 20, "NOPE", "solusdt", "\uff11\uff12"),
    "symbols": (f'["{SYMBOL}"]', f'["{SYMBOL}","{SYMBOL}"]', "[]", '["NOPE"]'),
    "permissions": ("SPOT", '["SPOT","MARGIN"]', "TRD_GRP_004", "NONE"),
    "symbolStatus": ("TRADING", "HALT", "BREAK", "OPEN"),
    "interval": ("1s", "1m", "15m", "1d", "1w", "1M", "1H"),
    "windowSize": ("1m", "59m", "60m", "23h", "7d", "8d"),
    "timeZone": ("0", "-12:00", "14:00", "14:01", "05:45", "+8"),
    "limit": ("0", "1", "5", "1000", "5001"),
    "startTime": (str(START_MS - 3_600_000), str(START_MS * 1000), "0"),
    "endTime": (str(START_MS), str(START_MS + 10**9), str(10**17)),
    "side": ("BUY", "SELL"),
    "type": (*("LIMIT",) * 12, *TYPES),
    "workingType": ("LIMIT",),
    "newOrderRespType": ("ACK", "RESULT", "FULL"),
    "cancelReplaceMode": ("STOP_ON_FAILURE", "ALLOW_FAILURE"),
    "pegPriceType": ("PRIMARY_PEG", "MARKET_PEG"),
    "pegOffsetType": ("PRICE_LEVEL",),
    "selfTradePreventionMode": ("NONE", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"),
    "orderRateLimitExceededMode": ("DO_NOTHING", "CANCEL_ONLY"),
    "cancelRestrictions": ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"),
}
PRICES = (*("30.8000", "30.8200", "31.0000", "28.0000", "33.0000") * 3, "40.0000", "33.12345")
AMOUNTS = (*("1.00", "2.00") * 5, "10.00", "0.001")
RULES = (*("GTC",) * 6, "IOC", "FOK")
# Names that begin with a leg's prefix mean what they mean without it; the first match counts.
BY_ENDING = {
    "StopPrice": ("28.0000", "30.0000", "45.0000"),
    "belowPrice": ("27.9000", "25.0000"),
    "BelowPrice": ("27.9000", "25.0000"),
    "stopLimitPrice": ("27.9000",),
    "stopPrice": ("28.0000", "30.0000", "45.0000"),
    "abovePrice": ("33.0000", "34.0000", "40.0000"),
    "AbovePrice": ("33.0000", "34.0000", "40.0000"),
    "rice": PRICES,
    "uantity": AMOUNTS,
    "Qty": ("1.00", "0.50", "200"),
    "aboveType": (*("LIMIT_MAKER",) * 9, *TYPES),
    "AboveType": (*("LIMIT_MAKER",) * 9, *TYPES),
    "belowType": (*("STOP_LOSS_LIMIT",) * 9, *TYPES),
    "BelowType": (*("STOP_LOSS_LIMIT",) * 9, *TYPES),
    "endingType": TYPES,
    "endingSide": ("SELL", "SELL", "SELL", "BUY"),
    "Side": ("BUY", "BUY", "SELL"),
    "imeInForce": RULES,
    "ListId": ("0", "1", "2", "3"),
    "Id": (*map(str, range(1, 40)), "a-name"),
    "railingDelta": ("100", "5"),
}
JUNK = (
    "",
    " ",
    "0",
    "-1",
    "1e5",
    "NaN",
    "Infinity",
    "null",
    "true",
    "[]",
    "9" * 19,
    "9" * 400,
    "0." + "0" * 30 + "1",
    "\x00",
    "\u00e9\U0001f600",
    "a=b&c",
    "'; drop",
    "x" * 2000,
)


def likely(name: str) -> tuple[str, ...]:
    if name in LIKELY:
        return LIKELY[name]
    for ending, values in BY_ENDING.items():
        if name.endswith(ending):
            return values
    return ("true", "FULL", "MINI", "5")


def taken(row: str) -> tuple[list[str], list[str]]:
    """What a right request of a row like `GET klines` carries, and what it may carry besides."""
    if row in SIGNED:
        needed, besides = SIGNED[row]
        return needed.split(), besides.split()
    method, path = row.split()
    endpoint = ENDPOINTS.get((method, f"/api/v3/{path}"))
    reads = sorted(endpoint.reads or ()) if endpoint is not None else []
    needed = NEEDED.get(path, "symbol" if path in SINGLE else "")
    return needed.split(), [name for name in reads if name not in needed]


@dataclass(frozen=True)
class Asked:
    """One request. `target` is (method, path), or ("WS", method)."""

    target: tuple[str, str]
    params: dict[str, str]
    in_body: bool
    signed: bool
    advance_ms: int


def row_of(target: tuple[str, str]) -> str:
    """A target's row as the tables above name it."""
    return f"{target[0]} {target[1].removeprefix('/api/v3/')}"


TARGETS = (
    *((target, row_of(target)) for target in sorted(ENDPOINTS)),
    *((("WS", name), row) for name, row in WS_METHODS.items()),
    *((("WS", name), "GET ping") for name in (*SESSION_METHODS, "dance")),
    *(((verb, path), "GET ping") for verb, path in (("GET", "/api/v1/ping"), ("HEAD", "/"))),
    *(((verb, "/api/v3/order"), "POST order") for verb in ("PUT", "PATCH")),
    *[(("POST", "/api/v3/order"), "POST order")] * 10,
)


def random_request(chance: Random, open_ids: list[str]) -> Asked:
    """A right request, now and then with something missing, added or spoilt."""
    target, row = chance.choice(TARGETS)
    needed, besides = taken(row)
    names = needed + chance.sample(besides, min(len(besides), max(0, chance.randint(-3, 2))))
    params = {name: chance.choice(likely(name)) for name in names}
    for name in {"orderId", "cancelOrderId"} & set(params):
        params[name] = chance.choice(open_ids or [params[name]])
    twist = chance.randrange(12)
    if twist == 0 and params:
        params.pop(chance.choice(sorted(params)))
    if twist in (1, 2):
        odd = chance.choice([*names, *names, "nonsense", "timestamp", "recvWindow", ""])
        params[odd] = chance.choice(JUNK)
    return Asked(
        target=target,
        params=params,
        in_body=chance.random() < 0.3,
        signed=chance.random() < 0.95,
        advance_ms=chance.choice((0, 0, 0, 700)),
    )


# A failing example is told with its arguments, and this one would be told in megabytes.
@dataclass(repr=False)
class Bench:
    """One exchange, and both ways to ask it."""

    desk: Desk
    clock: ManualClock
    talk: Talk

    def totals(self) -> dict[str, Decimal]:
        """Everything there is of each asset."""
        return {asset: sum_ for asset, sum_ in self.desk.core.engine.totals().items() if sum_}

    def open_ids(self) -> list[str]:
        """Ids of the account's open orders."""
        orders = self.desk.core.engine.open_orders("demo", {})
        return [str(order["orderId"]) for order in orders]

    def ask(self, asked: Asked) -> None:
        """Send a request and check the shape of its answer."""
        self.clock.advance(asked.advance_ms)
        self.desk.pump.step()
        if asked.target[0] == "WS":
            self._ask_websocket(asked)
        else:
            self._ask_rest(asked)

    def _ask_rest(self, asked: Asked) -> None:
        method, path = asked.target
        endpoint = ENDPOINTS.get(asked.target)
        params = dict(asked.params)
        secret = endpoint is not None and endpoint.security is Security.SIGNED
        if secret and asked.signed:
            params = {"timestamp": str(self.clock.now_ms())} | params
        text = urlencode(params, quote_via=quote)
        if secret and asked.signed:
            text += f"&signature={sign(text)}"
        in_body = asked.in_body and method != "GET"
        query, body = ("", text) if in_body else (text, "")
        reply = self.desk.send(method, path, query, body)
        assert reply.status < 500
        if method == "HEAD":
            return
        if reply.status >= 400:
            check_refusal(reply.json)
        assert reply.json is not None

    def _ask_websocket(self, asked: Asked) -> None:
        name = asked.target[1]
        params: dict[str, Any] = dict(asked.params)
        endpoint = endpoint_of(name)
        if asked.signed and (endpoint is None or endpoint.security is Security.SIGNED):
            params = self.desk.proof(**params)
        reply = self.talk.ask(name, params)
        assert reply["status"] in (200, 400, 401, 409, 410)
        if reply["status"] != 200:
            check_refusal(reply["error"])
        else:
            assert "result" in reply


def check_refusal(body: dict[str, Any]) -> None:
    assert set(body) <= {"code", "msg", "data"}
    assert isinstance(body["code"], int)
    assert body["code"] < 0
    assert isinstance(body["msg"], str)


@contextmanager
def open_bench() -> Iterator[Bench]:
    chosen = ExchangeSettings(
        symbols=frozenset({SYMBOL}),
        accounts=(RICH,),
        request_limits=NO_LIMIT,
        order_limits=OrderLimits(ten_seconds=10**9, day=10**9),
        queue_size=100_000,
    )
    clock = ManualClock(START_MS)
    with open_desk(chosen, clock) as desk, desk.talk() as talk:
        desk.core.engine.set_reference_price(SYMBOL, Decimal(31), START_MS)
        yield Bench(desk, clock, talk)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with open_bench() as one:
        yield one


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**64), count=st.integers(1, 120))
def test_any_request_gets_a_documented_answer_and_moves_no_value(
    bench: Bench, seed: int, count: int
) -> None:
    chance = Random(seed)  # noqa: S311  not for secrets
    before = bench.totals()

    for _ in range(count):
        bench.ask(random_request(chance, bench.open_ids()))

    assert bench.totals() == before


@settings(max_examples=300, deadline=None)
@given(
    frame=st.one_of(
        st.text(max_size=40),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["id", "method", "params", "symbol", "x"]), inner, max_size=4
                )
            ),
            max_leaves=8,
        ).map(json.dumps),
    )
)
def test_any_frame_gets_a_reply(bench: Bench, frame: str) -> None:
    # An order of an earlier request may have left events for a connection that subscribed.
    bench.talk.heard()

    (reply,) = bench.talk.say(frame)

    assert reply["status"] == 200 or reply["error"]["code"] < 0


def test_a_failing_example_is_told_in_a_few_words(bench: Bench) -> None:
    assert len(repr(bench)) < 200
