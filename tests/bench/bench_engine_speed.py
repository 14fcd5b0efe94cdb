"""What one operation costs the matching engine of the embedded exchange, alone in its process."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from statistics import median

import pytest
from tests.bench.report import Figure, report

from livespot.exchange import matching, placing
from livespot.exchange.engine import Engine
from livespot.exchange.model import AccountSpec, OrderLimits
from livespot.exchange.params import OrderRequest, Params, read_order
from livespot.exchange.specs import symbol_spec
from livespot.testing.spot_desk import BASIC_FILTERS, START_MS, symbol_row

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

_LEAST_PER_SECOND = 30_000
_LEAST_WHOLE = 15_000
_MANY_SYMBOLS = 400
_MOST_RATIO = 1.3
_OPERATIONS = 1_000
_ROUNDS = 60
_LIMITS = OrderLimits(ten_seconds=10**9, day=10**9)
_FURTHER_FILTERS = (
    {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "5",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "5",
        "askMultiplierDown": "0.2",
        "avgPriceMins": 5,
    },
    {"filterType": "ICEBERG_PARTS", "limit": 100},
    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "500", "stepSize": "0"},
)

Request = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Turn:
    """Four operations on one symbol: two orders that rest, one that trades, one cancel."""

    ask: Request
    bid: Request
    hit: Request
    cancel: Request
    now_ms: int


def _engine(symbols: int) -> Engine:
    """An exchange of so many symbols with two rich accounts and twenty house levels a side."""
    filters = (*BASIC_FILTERS, *_FURTHER_FILTERS)
    rows = [
        symbol_row(filters, symbol=f"B{number}USDT", baseAsset=f"B{number}")
        for number in range(symbols)
    ]
    rich = {row["baseAsset"]: Decimal(10**9) for row in rows} | {"USDT": Decimal(10**12)}
    accounts = [AccountSpec(account_id=name, balances=rich) for name in ("alice", "bob")]
    engine = Engine([symbol_spec(row) for row in rows], accounts, _LIMITS)
    bids = [(Decimal(9_000 - depth) / 100, Decimal(10)) for depth in range(20)]
    asks = [(Decimal(11_000 + depth) / 100, Decimal(10)) for depth in range(20)]
    for row in rows:
        engine.set_book(row["symbol"], bids, asks, START_MS)
    return engine


def _turns(symbols: int, first: int) -> list[Turn]:
    """The requests of one round; making them is the client's work and not measured."""
    turns = []
    for number in range(first, first + _OPERATIONS // 4):
        symbol = f"B{number % symbols}USDT"
        ask = _limit(symbol, "SELL", 10_000 + number % 700, f"ask-{number}")
        bid = _limit(symbol, "BUY", 9_500 + number % 400, f"bid-{number}")
        cancel = {"symbol": symbol, "origClientOrderId": f"bid-{number}"}
        turns.append(Turn(ask, bid, ask | {"side": "BUY"}, cancel, START_MS + number))
    return turns


def _limit(symbol: str, side: str, cents: int, name: str) -> dict[str, str]:
    """The parameters of a limit order as a client sends them, signature and all."""
    return {
        "symbol": symbol,
        "side": side,
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": f"0.{50 + cents % 50}",
        "price": f"{cents // 100}.{cents % 100:02}",
        "newClientOrderId": name,
        "newOrderRespType": "RESULT",
        "recvWindow": "5000",
        "timestamp": "1700000000000",
        "signature": "0" * 64,
    }


def _whole(engine: Engine, turns: list[Turn]) -> None:
    """Every request read from its parameters, every reply made, every event taken."""
    for turn in turns:
        engine.place_order("alice", turn.ask, turn.now_ms)
        engine.drain_events()
        engine.place_order("alice", turn.bid, turn.now_ms)
        engine.drain_events()
        engine.place_order("bob", turn.hit, turn.now_ms)
        engine.drain_events()
        engine.cancel_order("alice", turn.cancel, turn.now_ms)
        engine.drain_events()


def _read(engine: Engine, turns: list[Turn]) -> list[tuple[str, list[OrderRequest]]]:
    """The same orders as read from their parameters, with their symbol."""
    return [
        (
            turn.ask["symbol"],
            [
                read_order(Params(sent), engine.symbol(turn.ask["symbol"]))
                for sent in (turn.ask, turn.bid, turn.hit)
            ],
        )
        for turn in turns
    ]


def _inner(engine: Engine, orders: list[tuple[str, list[OrderRequest]]]) -> None:
    """The engine behind its parameters: filters, funds, matching, events; no replies."""
    state = engine.state
    owners = [state.accounts[name] for name in ("alice", "alice", "bob")]
    for symbol, requests in orders:
        market = state.market(symbol)
        placed = []
        for owner, request in zip(owners, requests, strict=True):
            placing.check_before_engine(state, market, owner, request)
            order = placing.accept(state, market, owner, request)
            placing.start(state, market, order)
            state.flush(market)
            engine.drain_events()
            placed.append(order)
        matching.end_order(state, placed[1], "CANCELED")
        state.flush(market)
        engine.drain_events()


def _cost(run: Callable[[], None]) -> float:
    """Processor microseconds per operation of one round."""
    began = time.process_time()
    run()
    return (time.process_time() - began) / _OPERATIONS * 10**6


def test_engine_handles_orders_fast_and_alike_for_any_number_of_symbols() -> None:
    one, many, bare = _engine(1), _engine(_MANY_SYMBOLS), _engine(1)
    costs: dict[str, list[float]] = {"one": [], "many": [], "bare": []}
    for number in range(-1, _ROUNDS):
        first = (number + 1) * _OPERATIONS
        single, spread = _turns(1, first), _turns(_MANY_SYMBOLS, first)
        read = _read(bare, single)
        taken = {
            "one": _cost(partial(_whole, one, single)),
            "many": _cost(partial(_whole, many, spread)),
            "bare": _cost(partial(_inner, bare, read)),
        }
        if number >= 0:
            for name, cost in taken.items():
                costs[name].append(cost)
    ratio = median(b / a for a, b in zip(costs["one"], costs["many"], strict=True))

    # Of every four operations two place an order that rests, one trades, one cancels.
    report(
        "matching engine, operations a second of processor time, best round",
        Figure("engine alone", 10**6 / min(costs["bare"]), "", least=_LEAST_PER_SECOND),
        Figure(
            "with parameters read and replies made",
            10**6 / min(costs["one"]),
            "",
            least=_LEAST_WHOLE,
        ),
        Figure(f"the same over {_MANY_SYMBOLS} symbols", 10**6 / min(costs["many"]), ""),
        Figure(f"{_MANY_SYMBOLS} symbols to one", ratio, "x", most=_MOST_RATIO),
    )
