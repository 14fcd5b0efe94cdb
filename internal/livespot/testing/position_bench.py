"""The position keeper beside the real execution actor, on one ledger and one scripted account."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio

from livespot.actors.mail import (
    AccountObserved,
    Marks,
    PositionInbox,
    PositionsAsked,
    RecoverAsked,
    RecoverySummary,
    SymbolsLearned,
)
from livespot.actors.position import PositionKeeper
from livespot.contracts.orders import AccountView, Balance, OrderView, Position
from livespot.contracts.vocabulary import OrderStatus, Side
from livespot.runtime.mailboxes import Mailbox, Reply
from livespot.store.queries import LedgerQueries
from livespot.testing.execution_bench import SYMBOL, Bench, a_decision, bench
from livespot.testing.inline_store import InlineReader
from livespot.testing.market_values import a_symbol

BASE = "SOL"
_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT")


@dataclass(slots=True)
class PositionBench:
    """`heard` of the inner bench shows what governor, risk and the others were told."""

    inner: Bench
    keeper: PositionKeeper

    async def tell(self, message: PositionInbox) -> None:
        await self.keeper.inbox.send(message)
        await self.inner.settle()

    async def bid(self, price: str) -> None:
        now, bid = self.inner.clock.now_ms(), Decimal(price)
        await self.tell(Marks(bids={SYMBOL: bid}, asks={SYMBOL: bid}, at_ms=now))

    async def base(self, free: str, locked: str = "0", *, can_trade: bool = True) -> None:
        """A balance read that knows of everything up to this moment."""
        now = self.inner.clock.now_ms()
        balance = Balance(asset=BASE, free=Decimal(free), locked=Decimal(locked))
        account = AccountView(
            balances={BASE: balance},
            can_trade=can_trade,
            update_time_ms=now,
            local_received_ms=now,
        )
        await self.tell(AccountObserved(account=account))

    async def buy(self, part: str = "") -> OrderView:
        """Approve an entry and fill it, whole or in part; the stream reports it."""
        await self.inner.approve(a_decision(self.inner.settings))
        order = self.inner.venue.working_buys()[-1]
        self.inner.venue.fill(order.order_id, part or str(order.orig_qty))
        await self.inner.stream(order.order_id)
        return self.inner.venue.orders_by_id[order.order_id]

    async def arm(self, entry: OrderView, status: OrderStatus = OrderStatus.NEW) -> None:
        """The exchange arms both legs of an attached list (or refuses them)."""
        venue = self.inner.venue
        for leg in self.legs(entry.order_list_id):
            venue.change(leg.order_id, status=status, orig_qty=entry.orig_qty)
            await self.inner.stream(leg.order_id)

    def legs(self, list_id: int) -> list[OrderView]:
        sells = self.inner.venue.of_side(Side.SELL)
        return [view for view in sells if view.order_list_id == list_id]

    async def held(self) -> tuple[Position, ...]:
        reply: Reply[tuple[Position, ...]] = Reply()
        await self.keeper.inbox.send(PositionsAsked(reply=reply))
        await self.inner.settle()
        return await reply.wait()

    async def position(self) -> Position:
        """The one open position."""
        (position,) = await self.held()
        return position

    async def recover(self) -> RecoverySummary:
        reply: Reply[RecoverySummary] = Reply()
        await self.keeper.inbox.send(RecoverAsked(reply=reply))
        await self.inner.settle(300)
        return await reply.wait()


def _silent() -> None:
    """Nobody watches a bench."""


@asynccontextmanager
async def position_bench(
    path: Path, *, beat: Callable[[], None] = _silent, reads: Any = None, **changes: Any
) -> AsyncIterator[PositionBench]:
    """Both actors running; the block's end closes both inboxes. Other arguments as for `bench`.

    `reads` answers the keeper's questions instead of the scripted account.
    """
    async with bench(path, **changes) as inner, anyio.create_task_group() as tasks:
        actor = inner.actor
        keeper = PositionKeeper(
            mode=actor.mode,
            settings=inner.settings,
            clock=inner.clock,
            server_clock=actor.server_clock,
            audit=actor.audit,
            ledger=LedgerQueries(InlineReader(path)),
            reads=reads or inner.venue,
            inbox=actor.position,
            execution=actor.inbox,
            risk=actor.risk,
            scanner=actor.scanner,
            signal=actor.signal,
            reconciler=Mailbox("keeper-reconciler", 10_000, inner.clock),
            governor=actor.governor,
            beat=beat,
            tick_ms=0,
        )
        await tasks.start(keeper.run)
        made = PositionBench(inner=inner, keeper=keeper)
        info = a_symbol(order_types=_TYPES)
        learned = SymbolsLearned(infos={SYMBOL: info}, cause="BOOT", at_ms=inner.clock.now_ms())
        await made.tell(learned)
        yield made
        keeper.inbox.close()
