"""Boot: settle what was never sent, take over what is open, and wind entries down.

Re-entrant: a crash at any point leaves work that the next boot does again in the same way.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from livespot.actors.entry_desk import EntryDesk
from livespot.actors.execution_work import Shop
from livespot.actors.heart import while_beating
from livespot.actors.mail import RecoverySummary
from livespot.actors.order_reading import read_order
from livespot.actors.order_records import Tracked
from livespot.actors.order_tracker import Change
from livespot.actors.resolver import Findings
from livespot.actors.want_desk import WantDesk
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.orders import OrderIntent
from livespot.contracts.vocabulary import (
    IntentRole,
    IntentState,
    Severity,
    SignalKind,
    SignalLevel,
)
from livespot.rules import ledger

# Enough rounds of three reads to ask for every alias of a list once.
_BOOT_ROUNDS = 3


class Recovery:
    """Runs in the actor's own task, before any new entry."""

    def __init__(
        self,
        shop: Shop,
        entries: EntryDesk,
        wants: WantDesk,
        apply: tuple[Callable[[Change], Awaitable[None]], Callable[[Findings], Awaitable[None]]],
    ) -> None:
        self._shop = shop
        self._ports = shop.ports
        self._entries = entries
        self._wants = wants
        self._apply_change, self._apply_findings = apply
        self._orphans: set[str] = set()

    async def run(self) -> RecoverySummary:
        """Answer when everything was looked at once; what stays unknown is resolved further."""
        intents = await self._ports.ledger.unsettled_intents()
        for intent in intents:
            self._ports.beat()
            aliases = await self._ports.ledger.aliases_of(intent.order_intent_id)
            self._shop.tracker.restore(intent, aliases)
            if intent.state is IntentState.CREATED:
                await self._never_sent(intent)
        await self._reload_orders()
        unknown = [intent for intent in intents if intent.state is IntentState.SENT_UNKNOWN]
        for intent in unknown:
            if intent.role is IntentRole.CANCEL:
                await self._withdraw_lost_cancel(intent)
                self._shop.doubt_cancel(intent)
                continue
            self._shop.resolver.open(intent, self._shop.tracker.aliases_of(intent.order_intent_id))
            if intent.role is not IntentRole.ENTRY:
                self._wants.restore(intent)
        await self._wind_down(unknown)
        await self._investigate()
        left = [
            intent.order_intent_id
            for intent in self._shop.tracker.intents.values()
            if intent.state is IntentState.SENT_UNKNOWN
        ]
        return RecoverySummary(
            resolved=len(intents) - len(left), unresolved=len(left), detail=", ".join(left)
        )

    async def _withdraw_lost_cancel(self, cancel: OrderIntent) -> None:
        """The life that counted its tries is over; whoever still wants it gone asks again."""
        await self._ports.demand(
            SignalKind.INTENT,
            SignalLevel.CLEAR,
            ReasonCode.BOOT_RECOVERY,
            source=f"cancel:{cancel.parent_order_intent_id}",
            detail="a new life begins",
        )

    async def adopt(self, intent: OrderIntent) -> None:
        """An entry without an engine has a living order: watch it, cancel it, buy nothing more."""
        decision = await self._decision(intent.decision_id)
        if decision is None or not await self._entries.wind_down(decision, intent):
            await self._cannot_adopt(intent)

    async def _decision(self, decision_id: str) -> Decision | None:
        stored = await self._ports.ledger.decision_json(decision_id)
        if stored is None:
            return None
        try:
            return msgspec.json.decode(stored, type=Decision)
        except msgspec.ValidationError:
            # Written by another version: a person winds this entry down, the rest is recovered.
            return None

    async def _cannot_adopt(self, intent: OrderIntent) -> None:
        self._orphans.add(intent.order_intent_id)
        text = f"entry {intent.order_intent_id} works unmanaged: cancel it by hand"
        await self._ports.alert(
            Severity.CRIT, ReasonCode.PAUSE_NEEDS_MANUAL, text, symbol=intent.symbol
        )
        await self._demand_for(intent.order_intent_id, SignalLevel.PAUSE, text)

    async def order_changed(self, tracked: Tracked) -> None:
        """Once an unmanaged entry has ended, nothing of it may stand in the way of a resume."""
        over = tracked.role is IntentRole.ENTRY and tracked.view.status.is_terminal
        if over and tracked.intent_id in self._orphans:
            self._orphans.discard(tracked.intent_id)
            text = f"order {tracked.view.order_id} is over"
            await self._demand_for(tracked.intent_id, SignalLevel.CLEAR, text)

    async def _demand_for(self, intent_id: str, level: SignalLevel, text: str) -> None:
        await self._ports.demand(
            SignalKind.INTENT,
            level,
            ReasonCode.PAUSE_NEEDS_MANUAL,
            source=f"orphan:{intent_id}",
            detail=text,
        )

    async def _never_sent(self, intent: OrderIntent) -> None:
        step = ledger.Step(
            to_state=IntentState.FAILED_TERMINAL,
            at_ms=self._ports.clock.now_ms(),
            reasons=(ReasonCode.BOOT_RECOVERY,),
            evidence="found CREATED at boot: nothing was sent",
        )
        change = await self._shop.tracker.absorb(step=(intent.order_intent_id, step))
        await self._apply_change(change)

    async def _reload_orders(self) -> None:
        for stored in await self._ports.ledger.open_orders():
            self._ports.beat()
            await self._shop.tracker.restore_order(stored)
            update = await read_order(self._ports, stored.order.symbol, stored.order.order_id)
            if update is not None:
                await self._apply_change(await self._shop.tracker.absorb((update,)))

    async def _investigate(self) -> None:
        for _ in range(_BOOT_ROUNDS):
            for intent in self._shop.resolver.cases():
                case = self._shop.resolver.claim(intent.order_intent_id)
                if case is not None:
                    # A round is several reads, and each may take its whole limit.
                    findings = await while_beating(
                        self._ports.clock,
                        self._ports.beat,
                        partial(self._shop.resolver.investigate, case),
                    )
                    await self._apply_findings(findings)

    async def _wind_down(self, unknown: list[OrderIntent]) -> None:
        open_entries = {
            stored.order_intent_id
            for stored in self._shop.tracker.open_orders()
            if stored.role == IntentRole.ENTRY.value
        }
        open_entries |= {i.order_intent_id for i in unknown if i.role is IntentRole.ENTRY}
        found = [self._shop.tracker.intents[intent_id] for intent_id in sorted(open_entries)]
        # Of an unanswered cancel-replace the newer attempt leads, the older joins it.
        for intent in sorted(found, key=lambda intent: -intent.attempt):
            if intent.state not in (IntentState.FAILED_TERMINAL, IntentState.NOT_FOUND):
                await self.adopt(intent)
