"""One comparison with the exchange: what is read, what is passed on, what differs."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TypeVar

from livespot.actors.heart import while_beating
from livespot.actors.mail import AccountObserved, ExecutionInbox, PositionInbox, RiskInbox
from livespot.actors.sending import tell
from livespot.contracts.errors import NoSuchOrder, Unreachable
from livespot.contracts.ids import is_own_client_order_id
from livespot.contracts.market import SymbolInfo
from livespot.contracts.orders import (
    AccountView,
    Balance,
    Fill,
    OrderUpdate,
    OrderView,
    Position,
)
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader, StoredOrder
from livespot.contracts.settings import Settings
from livespot.contracts.system import ReconcileDiff
from livespot.contracts.venue import AccountReader, ServerClock
from livespot.rules import drift
from livespot.runtime.mailboxes import Mailbox

T = TypeVar("T")

# A read this close behind an event of the stream is ahead of it, not different from it.
_SETTLING_MS = 2000
_QUERY_AFTER_MS = 1000
_FIRST_SWEEP_MS = 3_600_000
_LONG_AGO_MS = 86_400_000


@dataclass(slots=True)
class Watch:
    """What the reconciler remembers between passes."""

    positions: dict[str, Position] = field(default_factory=dict)
    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    swept_to: dict[str, int] = field(default_factory=dict)
    strangers: dict[tuple[str, int], bool] = field(default_factory=dict)

    def step_of(self, symbol: str) -> Decimal:
        info = self.infos.get(symbol)
        limits = info.constraints if info is not None else None
        return limits.step_size if limits is not None else Decimal(0)

    def base_of(self, symbol: str, quote_asset: str) -> str:
        info = self.infos.get(symbol)
        return info.base_asset if info is not None else symbol.removesuffix(quote_asset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The exchange's side of the comparison. Every read is bounded; the heart beats meanwhile.

    `begun_ms` is the exchange's time at which this life began.
    """

    settings: Settings
    clock: Clock
    server_clock: ServerClock
    ledger: LedgerReader
    reads: AccountReader
    execution: Mailbox[ExecutionInbox]
    risk: Mailbox[RiskInbox]
    position: Mailbox[PositionInbox]
    beat: Callable[[], None]
    begun_ms: int

    async def bounded(self, call: Callable[[], Awaitable[T]]) -> T:
        """One read within its time limit. Raises what the read raises, or `Unreachable`."""
        limit_seconds = self.settings.intents.rest_query_timeout_ms / 1000

        async def read() -> T:
            try:
                with self.clock.fail_after(limit_seconds):
                    return await call()
            except TimeoutError as error:
                raise Unreachable("a read took longer than its limit") from error

        return await while_beating(self.clock, self.beat, read)

    async def symbol(
        self, watch: Watch, symbol: str, believed: Iterable[StoredOrder]
    ) -> list[ReconcileDiff]:
        """Compare one symbol's orders; what is news goes to execution at once."""
        views = await self.bounded(lambda: self.reads.open_orders(symbol))
        ours = {s.order.order_id: s for s in believed if s.order.symbol == symbol}
        diffs: list[ReconcileDiff] = []
        own: list[OrderView] = []
        for view in views:
            known = ours.get(view.order_id)
            if known is not None:
                diffs.extend(await self._compare(known, view))
                own.append(view)
            elif foreign := await self.stranger(watch, view):
                diffs.extend(foreign)
            else:
                own.append(view)
        open_ids = {view.order_id for view in views}
        for known in ours.values():
            if known.order.order_id not in open_ids:
                diffs.extend(await self._query(known))
        diffs.extend(self._protection(watch, symbol, own))
        return diffs

    async def stranger(self, watch: Watch, view: OrderView) -> list[ReconcileDiff]:
        """An open order that execution does not hold open: ours with news, or not ours."""
        key = (view.symbol, view.order_id)
        if key not in watch.strangers:
            alias = await self.ledger.alias(view.own_id) or await self.ledger.alias(
                view.client_order_id
            )
            watch.strangers[key] = alias is None
        foreign = watch.strangers[key]
        await self._pass_on(view, fetch_fills=not foreign and view.executed_qty > 0)
        return [drift.stranger(view, begun_ms=self.begun_ms)] if foreign else []

    async def everything(
        self, watch: Watch, believed: Iterable[StoredOrder]
    ) -> list[ReconcileDiff]:
        """All open orders of the account: finds orders on symbols nobody looks at."""
        ours = {(s.order.symbol, s.order.order_id): s for s in believed}
        diffs: list[ReconcileDiff] = []
        views = await self.bounded(lambda: self.reads.open_orders(None))
        for view in views:
            known = ours.get((view.symbol, view.order_id))
            if known is None:
                diffs.extend(await self.stranger(watch, view))
        alive = {(view.symbol, view.order_id) for view in views}
        gone = [key for key in watch.strangers if key not in alive]
        for key in gone:
            if not watch.strangers[key] or await self._has_ended(*key):
                del watch.strangers[key]
        return diffs

    async def _has_ended(self, symbol: str, order_id: int) -> bool:
        """Whether a stranger that is open no more shows its end, which nobody may have heard of."""
        try:
            view = await self.bounded(lambda: self.reads.order(symbol, order_id=order_id))
        except NoSuchOrder:
            # It stood, so it exists: this read lags, and the next look asks again.
            return False
        await self._pass_on(view, fetch_fills=False)
        return view.status.is_terminal

    async def lists(self) -> None:
        """Open order lists of ours; they confirm a list whose answer was lost."""
        for item in await self.bounded(self.reads.open_lists):
            if is_own_client_order_id(item.list_client_order_id):
                await tell(self.execution, item)

    async def account(self, watch: Watch) -> list[ReconcileDiff]:
        account = await self.bounded(self.reads.account)
        observed = AccountObserved(account=account, offset_ms=self.server_clock.offset_ms)
        await tell(self.risk, observed)
        await tell(self.position, observed)
        return self._balances(watch, account)

    async def sweep(self, watch: Watch, symbol: str) -> list[ReconcileDiff]:
        """All trades since the last sweep: fills that no order update brought, and their money."""
        booked = await self.ledger.trade_ids(symbol)
        # The first sweep goes by time: the newest booked trade says nothing about older ones.
        since = watch.swept_to.get(symbol, 0)
        fills = await self.bounded(lambda: self._trades_after(symbol, since))
        missed = [f for f in fills if f.trade_id not in booked]
        unread: list[Fill] = []
        for order_id in sorted({f.order_id for f in missed}):
            mine = tuple(f for f in missed if f.order_id == order_id)
            try:
                view = await self.bounded(partial(self.reads.order, symbol, order_id=order_id))
            except NoSuchOrder:
                # It traded, so it exists: this read lags, and the next sweep asks again.
                unread.extend(mine)
                continue
            await tell(self.execution, OrderUpdate(order=view, fills=mine, source="REST"))
        # Only what was passed on is behind us: a failed read leaves the whole sweep to be repeated.
        reached = max((f.trade_id for f in fills), default=since)
        watch.swept_to[symbol] = min((f.trade_id - 1 for f in unread), default=reached)
        return await self._money(watch, symbol, fills)

    async def _trades_after(self, symbol: str, trade_id: int) -> tuple[Fill, ...]:
        if trade_id:
            return await self.reads.trades(symbol, from_id=trade_id + 1)
        since_ms = self.server_clock.server_now_ms() - _FIRST_SWEEP_MS
        return await self.reads.trades(symbol, start_ms=since_ms)

    async def _money(self, watch: Watch, symbol: str, fills: Iterable[Fill]) -> list[ReconcileDiff]:
        position = watch.positions.get(symbol)
        if position is None:
            return []
        stored = await self.ledger.fills_of_decision(position.decision_id)
        booked = {item.fill.trade_id: item.fill for item in stored}
        pairs = ((booked[f.trade_id], f) for f in fills if f.trade_id in booked)
        found = (drift.fill_differs(ours, theirs) for ours, theirs in pairs)
        return [diff for diff in found if diff is not None]

    async def _compare(self, known: StoredOrder, view: OrderView) -> list[ReconcileDiff]:
        diffs = [drift.price_differs(known.order, view)]
        differs = drift.order_differs(known.order, view)
        if differs is not None:
            missed = view.executed_qty > known.order.executed_qty
            await self._pass_on(view, fetch_fills=missed)
            if self.server_clock.server_now_ms() - view.exchange_time_ms >= _SETTLING_MS:
                diffs.append(differs)
        return [diff for diff in diffs if diff is not None]

    async def _query(self, known: StoredOrder) -> list[ReconcileDiff]:
        """Not among the open orders: asked for by id, never presumed gone."""
        order = known.order
        age = self._since(order.local_received_ms)
        if age < _QUERY_AFTER_MS:
            return []
        try:
            view = await self.bounded(
                lambda: self.reads.order(order.symbol, order_id=order.order_id)
            )
        except NoSuchOrder:
            late = age >= self.settings.timing.mutation_timeout_ms
            return [drift.order_missing(order)] if late else []
        return await self._compare(known, view)

    async def _pass_on(self, view: OrderView, *, fetch_fills: bool) -> None:
        fills: tuple[Fill, ...] = ()
        if fetch_fills:
            fills = await self.bounded(
                lambda: self.reads.trades(view.symbol, order_id=view.order_id)
            )
        await tell(self.execution, OrderUpdate(order=view, fills=fills, source="REST"))

    def _protection(
        self, watch: Watch, symbol: str, views: Iterable[OrderView]
    ) -> list[ReconcileDiff]:
        position = self._settled_position(watch, symbol)
        diff = drift.protection_missing(position, views) if position is not None else None
        return [diff] if diff is not None else []

    def _balances(self, watch: Watch, account: AccountView) -> list[ReconcileDiff]:
        diffs: list[ReconcileDiff] = []
        for symbol in watch.positions:
            position = self._settled_position(watch, symbol)
            if position is None:
                continue
            asset = watch.base_of(symbol, self.settings.venue.quote_asset)
            empty = Balance(asset=asset, free=Decimal(0), locked=Decimal(0))
            base = account.balances.get(asset, empty)
            diffs.extend(drift.balance_differences(position, base, watch.step_of(symbol)))
        return diffs

    def _settled_position(self, watch: Watch, symbol: str) -> Position | None:
        """A position that is not in the middle of a change."""
        position = watch.positions.get(symbol)
        if position is None:
            return None
        age = self._since(position.updated_at_ms)
        return position if age >= self.settings.exit.protection_pause_ms else None

    def _since(self, at_ms: int) -> int:
        """The age of a wall time; one of the future is from before the clock was set back."""
        age = self.clock.now_ms() - at_ms
        return age if age >= 0 else _LONG_AGO_MS
