"""What account queries see: the engine itself, or its orders and balances as they were."""

import copy
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from livespot.contracts.ports import Clock
from livespot.exchange.engine import Engine
from livespot.exchange.model import (
    AccountPosition,
    Balance,
    Event,
    ExecutionReport,
    Fill,
    ListStatus,
    Order,
    OrderList,
)
from livespot.exchange.state import Exchange, Market


@dataclass(slots=True)
class _Change:
    """Everything one settlement changed, as it stood then."""

    at_ms: int
    orders: dict[tuple[str, int], Order] = field(default_factory=dict)
    lists: dict[int, OrderList] = field(default_factory=dict)
    fills: list[tuple[str, str, Fill]] = field(default_factory=list)
    balances: list[tuple[str, str, Decimal, Decimal]] = field(default_factory=list)


class ReadView:
    """Lets queries lag behind the engine; without a lag it keeps and costs nothing.

    When a lag begins, the view stands as the engine stands; every later change shows `lag_ms`
    after it happened. When the last lag ends, queries see the engine again. Of several lags the
    longest counts; `lag_ms` is 0 while there is none.
    """

    def __init__(self, engine: Engine, clock: Clock, lag_ms: int = 0) -> None:
        self._engine = engine
        self._clock = clock
        self._lags: dict[str, int] = {}
        self.lag_ms = 0
        self._pending: deque[_Change] = deque()
        self._fills_seen: dict[tuple[str, str], int] = {}
        self._past: Exchange | None = None
        self._reader: Engine | None = None
        self.lag("setting", lag_ms)

    def lag(self, name: str, lag_ms: int) -> None:
        """Ask for a lag under a name; 0 withdraws it."""
        if lag_ms > 0:
            self._lags[name] = lag_ms
        else:
            self._lags.pop(name, None)
        self.lag_ms = max(self._lags.values(), default=0)
        if not self._lags:
            self._past = self._reader = None
            self._pending.clear()
        elif self._past is None:
            self._past = _copy(self._engine.state)
            self._reader = Engine.reading(self._past)
            self._fills_seen = {
                (symbol, account): len(fills)
                for symbol, market in self._past.markets.items()
                for account, fills in market.fills.items()
            }

    def record(self, events: Sequence[Event]) -> None:
        """Remember what these events changed, if anybody is to see it late."""
        if self._past is None:
            return
        change, state = _Change(self._clock.now_ms()), self._engine.state
        for event in events:
            if isinstance(event, ExecutionReport):
                # What the engine refused has a report, and is nowhere in its state.
                order = state.markets[event.symbol].orders.get(event.order_id)
                if order is not None:
                    change.orders[event.symbol, event.order_id] = _copy_order(order)
                if event.execution_type == "TRADE":
                    self._new_fills(change, event.symbol, event.account_id)
            elif isinstance(event, ListStatus):
                order_list = state.lists.get(event.list_id)
                if order_list is not None:
                    change.lists[event.list_id] = copy.copy(order_list)
            elif isinstance(event, AccountPosition):
                change.balances += [(event.account_id, *row) for row in event.balances]
        self._pending.append(change)

    def engine(self) -> Engine:
        """The engine to ask: the real one, or one over the past."""
        if self._past is None or self._reader is None:
            return self._engine
        self._past.now_ms = self._engine.state.now_ms
        visible_ms = self._clock.now_ms() - self.lag_ms
        while self._pending and self._pending[0].at_ms <= visible_ms:
            _show(self._past, self._pending.popleft())
        return self._reader

    def _new_fills(self, change: _Change, symbol: str, account: str) -> None:
        fills = self._engine.state.markets[symbol].fills.get(account, [])
        seen = self._fills_seen.get((symbol, account), 0)
        change.fills += [(symbol, account, fill) for fill in list(fills)[seen:]]
        self._fills_seen[symbol, account] = len(fills)


def _copy(state: Exchange) -> Exchange:
    """Orders, lists, trades and balances of their own; books and rules stay the live ones."""
    return replace(
        state,
        markets={symbol: _copy_market(market) for symbol, market in state.markets.items()},
        accounts={
            name: replace(
                account, balances={asset: copy.copy(b) for asset, b in account.balances.items()}
            )
            for name, account in state.accounts.items()
        },
        lists={number: copy.copy(one) for number, one in state.lists.items()},
        events=[],
    )


def _copy_market(market: Market) -> Market:
    return replace(
        market,
        orders={number: _copy_order(order) for number, order in market.orders.items()},
        open_ids=dict(market.open_ids),
        by_client=dict(market.by_client),
        fills={account: list(fills) for account, fills in market.fills.items()},
    )


def _copy_order(order: Order) -> Order:
    copied = copy.copy(order)
    copied.fills = list(order.fills)
    return copied


def _show(past: Exchange, change: _Change) -> None:
    for (symbol, number), order in change.orders.items():
        _show_order(past.markets[symbol], number, order)
    past.lists.update(change.lists)
    for symbol, account, fill in change.fills:
        past.markets[symbol].fills.setdefault(account, []).append(fill)
    for account, asset, free, locked in change.balances:
        owner = past.accounts[account]
        owner.balances[asset] = Balance(free=free, locked=locked)
        owner.updated_ms = change.at_ms


def _show_order(market: Market, number: int, order: Order) -> None:
    before = market.orders.get(number)
    if before is not None:
        key = (before.account_id, before.client_id)
        if market.by_client.get(key) == number:
            del market.by_client[key]
    market.orders[number] = order
    if order.is_open:
        market.open_ids[number] = None
    else:
        market.open_ids.pop(number, None)
    key = (order.account_id, order.client_id)
    holder = market.by_client.get(key)
    if order.is_open or holder is None or (holder not in market.open_ids and holder <= number):
        market.by_client[key] = number
