"""Answers read on request: lists and traces, over a connection of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.lowlevel
import msgspec

from livespot.contracts.ports import Clock
from livespot.panel import system_queries, trade_queries
from livespot.panel.dashboard import SCHEMA_VERSION, AlertsPage, AlertsView, OrdersPage
from livespot.panel.database import PanelDatabase, PanelUnreadable
from livespot.panel.traces import Traces, TraceView

# How many requests may wait for the connection; further ones are told to come again.
_WAITING = 8


class Pages:
    """Bounded reads for single requests, one at a time; answers are JSON."""

    def __init__(self, database: PanelDatabase, clock: Clock, traces: Traces) -> None:
        self._database = database
        self._clock = clock
        self._traces = traces
        self._asked = 0

    async def orders(self, limit: int) -> bytes:
        """Return the newest intents, orders, fills and positions. Raises `PanelUnreadable`."""
        async with self._turn():
            now_ms = self._clock.now_ms()
            async with self._database.transaction():
                # A list of 500 takes milliseconds to build; let the loop run in between.
                intents = await trade_queries.recent_intents(self._database, now_ms, limit)
                await anyio.lowlevel.checkpoint()
                orders = await trade_queries.recent_orders(self._database, limit)
                await anyio.lowlevel.checkpoint()
                fills = await trade_queries.fills(self._database, limit)
                await anyio.lowlevel.checkpoint()
                positions = await trade_queries.recent_positions(self._database, limit)
            page = OrdersPage(
                schema_version=SCHEMA_VERSION,
                now_ms=now_ms,
                limit=limit,
                intents=intents,
                orders=orders,
                fills=fills,
                positions=positions,
            )
        return msgspec.json.encode(page)

    async def alerts(self, limit: int) -> bytes:
        """Return the counts and the newest alerts. Raises `PanelUnreadable`."""
        async with self._turn():
            now_ms = self._clock.now_ms()
            async with self._database.transaction():
                run = await system_queries.run_facts(self._database)
                alerts = (
                    AlertsView()
                    if run is None
                    else await system_queries.alerts(self._database, run, now_ms, limit)
                )
        page = AlertsPage(schema_version=SCHEMA_VERSION, now_ms=now_ms, limit=limit, alerts=alerts)
        return msgspec.json.encode(page)

    async def decision(self, decision_id: str) -> bytes | None:
        """Return the course of a decision; None when it is not stored. Raises `PanelUnreadable`."""
        async with self._turn(), self._database.transaction():
            return _encoded(await self._traces.decision(self._database, decision_id))

    async def intent(self, order_intent_id: str) -> bytes | None:
        """Return the course of an intent; None when it is not stored. Raises `PanelUnreadable`."""
        async with self._turn(), self._database.transaction():
            return _encoded(await self._traces.intent(self._database, order_intent_id))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Take a place in the queue; rows of an unknown shape become `PanelUnreadable`."""
        if self._asked >= _WAITING:
            raise PanelUnreadable("too many reads at once; ask again in a moment")
        self._asked += 1
        try:
            yield
        except (msgspec.MsgspecError, KeyError) as e:
            raise PanelUnreadable(f"a stored row has an unknown shape: {e!r}") from e
        finally:
            self._asked -= 1


def _encoded(trace: TraceView | None) -> bytes | None:
    return None if trace is None else msgspec.json.encode(trace)
