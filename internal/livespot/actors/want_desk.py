"""Carries out what the position actor asks for (protect, close, cancel), and answers each request.

*Owns* which requested mutation is in flight and which lost cancel is to be repeated. Protection is
never held back by anything unknown; only two sells of one symbol are never sent at the same time.
"""

from dataclasses import dataclass

from livespot.actors.execution_ports import Reference
from livespot.actors.execution_work import REUSED, Answered, OrderRead, Shop, Work
from livespot.actors.mail import (
    CancelWanted,
    CloseWanted,
    MutationSettled,
    ProtectWanted,
    SaleWanted,
)
from livespot.actors.mutation_desk import Ending, Outcome
from livespot.actors.order_reading import read_order
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import OrderIntent, OrderView
from livespot.contracts.vocabulary import (
    IntentRole,
    IntentState,
    MutationOutcome,
    OrderStatus,
    Side,
    SignalKind,
    SignalLevel,
)
from livespot.rules.due import NEVER, earliest
from livespot.rules.entry_engine import CANCEL_RETRY_MS, MAX_CANCEL_TRIES
from livespot.rules.exit_requests import (
    SellDraft,
    cancel_mutation,
    check_sells,
    close_mutation,
    oco_mutation,
    replacing,
    stop_mutation,
)
from livespot.rules.position import position_id
from livespot.rules.requests import Mutation, StopPrices
from livespot.rules.trailing import Above

_SLOW_RETRY_MS = 10_000
# After this long the position actor has processed every message sent to it before.
_NEWS_MS = 1000
_FINAL = {
    IntentState.CONFIRMED: MutationOutcome.ACCEPTED,
    IntentState.FAILED_TERMINAL: MutationOutcome.REFUSED,
    IntentState.NOT_FOUND: MutationOutcome.NOT_FOUND,
}


@dataclass(slots=True)
class Want:
    """One requested mutation. For a cancel, `target` is the intent whose order it cancels."""

    position_id: str
    decision_id: str
    symbol: str
    role: IntentRole
    intent_id: str
    target: str = ""
    order_id: int = 0
    tries: int = 1
    in_flight: bool = True
    retry_ms: int = 0


class WantDesk:
    """Used by the execution actor's task only."""

    def __init__(self, shop: Shop, reference: Reference) -> None:
        self._shop = shop
        self._ports = shop.ports
        self._reference = reference
        self._wants: dict[str, Want] = {}

    @property
    def busy(self) -> bool:
        return any(want.in_flight for want in self._wants.values())

    @property
    def due_ms(self) -> int:
        """When the next cancel is to be repeated, in monotonic ms."""
        return earliest(*(want.retry_ms or NEVER for want in self._active()))

    def restore(self, intent: OrderIntent) -> None:
        """Track an unanswered mutation of an earlier life, so that the position learns its end."""
        self._wants[intent.order_intent_id] = Want(
            position_id=position_id(intent.decision_id),
            decision_id=intent.decision_id,
            symbol=intent.symbol,
            role=intent.role,
            intent_id=intent.order_intent_id,
            in_flight=False,
        )

    # ---- wants

    async def protect(self, message: ProtectWanted) -> None:
        parent, role = message.entry_intent_id, message.role
        attempt = await self._shop.attempts.next(message.decision_id, parent, role)
        draft = self._draft(message, attempt)
        stop = StopPrices(trigger_price=message.sl_price, limit_price=message.stop_limit_price)
        if role is IntentRole.LIST:
            mutation = oco_mutation(draft, above=_above(message), stop=stop)
        else:
            mutation = stop_mutation(draft, stop=stop, role=role)
        if message.replaces_order_id:
            target = await self._intent(message.replaces)
            if target is None:
                want = _want_of(mutation, message.position_id)
                await self._settle(
                    want, MutationOutcome.NOT_SENT, message="the order is not in the ledger"
                )
                return
            cancel = await self._cancel_of(target, message.replaces_order_id)
            mutation = replacing(cancel, mutation)
        await self._sell(mutation, message)

    async def close(self, message: CloseWanted) -> None:
        attempt = await self._shop.attempts.next(
            message.decision_id, message.entry_intent_id, IntentRole.CLOSE
        )
        mutation = close_mutation(self._draft(message, attempt), limit_price=message.limit_price)
        await self._sell(mutation, message)

    async def cancel(self, message: CancelWanted) -> None:
        want = Want(
            position_id=message.position_id,
            decision_id=message.decision_id,
            symbol=message.symbol,
            role=IntentRole.CANCEL,
            intent_id="",
            target=message.order_intent_id,
            order_id=message.order_id,
        )
        if any(w.target == want.target and w.order_id == want.order_id for w in self._active()):
            return
        await self._send_cancel(want)

    def _active(self) -> list[Want]:
        return [w for w in self._wants.values() if w.role is IntentRole.CANCEL]

    def _draft(self, message: SaleWanted, attempt: int) -> SellDraft:
        return SellDraft(
            decision_id=message.decision_id,
            parent_intent_id=message.entry_intent_id,
            symbol=message.symbol,
            qty=message.qty,
            attempt=attempt,
            recv_window_ms=self._ports.settings.time.recv_window_ms,
            now_ms=self._ports.clock.now_ms(),
        )

    async def _sell(self, mutation: Mutation, message: SaleWanted) -> None:
        intent = mutation.intent
        want = _want_of(mutation, message.position_id)
        if self._overtaken(message):
            await self._settle(
                want, MutationOutcome.OVERTAKEN, message="an earlier sell is known to stand"
            )
            return
        info = self._reference.infos.get(intent.symbol)
        refusal = (
            check_sells(mutation, info.constraints, self._shop.tracker.standing(intent.symbol))
            if info is not None and info.constraints is not None
            else None
        )
        if refusal is not None:
            await self._settle(
                want, MutationOutcome.REFUSED, message=f"Filter failure: {refusal.filter_name}"
            )
            return
        if any(w.in_flight and w.symbol == want.symbol and not w.target for w in self._all()):
            await self._settle(want, MutationOutcome.NOT_SENT, message="another sell is on its way")
            return
        self._wants[want.intent_id] = want
        self._shop.dispatch(mutation)

    def _overtaken(self, message: SaleWanted) -> bool:
        """Whether a sell is on the book that the position did not know of when it asked.

        It has been told of it since and may ask for something else now.
        """
        known, now_ms = message.known_orders, self._ports.clock.now_ms()
        return known is not None and any(
            order.side is Side.SELL
            and order.status is not OrderStatus.PENDING_NEW
            and order.order_id not in known
            and self._shop.tracker.knows(order.symbol, order.order_id)
            and 0 <= now_ms - order.local_received_ms < _NEWS_MS
            for order in self._shop.tracker.standing(message.symbol)
        )

    def _all(self) -> list[Want]:
        return list(self._wants.values())

    async def _send_cancel(self, want: Want) -> None:
        if not self._shop.may_cancel(want.symbol, want.order_id):
            if want.intent_id in self._wants:
                await self._drop(want)
            await self._settle(
                want, MutationOutcome.REFUSED, message="denied before; the order is asked for"
            )
            return
        target = await self._intent(want.target)
        if target is None:
            await self._settle(
                want, MutationOutcome.REFUSED, message="the order is not in the ledger"
            )
            return
        mutation = await self._cancel_of(target, want.order_id)
        # Only the latest of several cancels is waited for; the end of the order settles them all.
        self._wants.pop(want.intent_id, None)
        want.intent_id = mutation.intent.order_intent_id
        want.in_flight = True
        self._wants[want.intent_id] = want
        self._shop.dispatch(mutation)

    async def _intent(self, intent_id: str) -> OrderIntent | None:
        known = self._shop.tracker.intents.get(intent_id)
        return known if known is not None else await self._ports.ledger.intent(intent_id)

    async def _cancel_of(self, target: OrderIntent, order_id: int) -> Mutation:
        return cancel_mutation(
            target,
            order_id=order_id,
            orig_client_order_id=target.client_order_id,
            only_new=False,
            attempt=await self._shop.attempts.next(
                target.decision_id, target.order_intent_id, IntentRole.CANCEL
            ),
            now_ms=self._ports.clock.now_ms(),
        )

    # ---- answers

    async def answered(self, done: Answered) -> None:
        """Tell the position the answer, after it was made durable."""
        want = self._wants.get(done.mutation.intent.order_intent_id)
        if want is None:
            return
        want.in_flight = False
        intent = self._shop.tracker.intents.get(want.intent_id)
        state = intent.state if intent is not None else None
        outcome = done.outcome
        if outcome.ending is Ending.UNKNOWN and state is IntentState.SENT_UNKNOWN:
            await self._settle(want, MutationOutcome.UNKNOWN, outcome=outcome)
            if want.role is IntentRole.CANCEL:
                await self._lost_cancel(want)
            return
        await self._drop(want)
        # If the id was taken, the state in the ledger belongs to an earlier request.
        if state is IntentState.CONFIRMED and outcome is not REUSED:
            await self._settle(want, MutationOutcome.ACCEPTED, outcome=outcome)
            return
        if want.role is IntentRole.CANCEL and outcome.ending is Ending.REFUSED:
            self._read_target(want)
        told = (
            MutationOutcome.REFUSED
            if outcome.ending is Ending.REFUSED
            else MutationOutcome.NOT_SENT
        )
        await self._settle(want, told, outcome=outcome)

    async def settled(self, intent: OrderIntent) -> None:
        """Evidence or the fence has settled an unanswered mutation."""
        want = self._wants.get(intent.order_intent_id)
        if want is None or want.in_flight or intent.state not in _FINAL:
            return
        await self._drop(want)
        await self._settle(want, _FINAL[intent.state], message="settled by evidence")

    async def still_unknown(self, intent: OrderIntent) -> None:
        """A round of reads found nothing; the position counts these rounds on its ladder."""
        want = self._wants.get(intent.order_intent_id)
        if want is not None and not want.in_flight:
            await self._settle(want, MutationOutcome.UNKNOWN, message="not seen yet")

    async def tick(self) -> None:
        now = self._ports.clock.monotonic_ms()
        for want in self._active():
            if want.retry_ms and now >= want.retry_ms:
                want.retry_ms = 0
                want.tries += 1
                await self._send_cancel(want)

    async def _lost_cancel(self, want: Want) -> None:
        slow = want.tries >= MAX_CANCEL_TRIES
        pause = _SLOW_RETRY_MS if slow else CANCEL_RETRY_MS
        want.retry_ms = self._ports.clock.monotonic_ms() + pause
        self._read_target(want)
        if want.tries == MAX_CANCEL_TRIES:
            await self._demand_for(want, SignalLevel.DEGRADE)

    async def _drop(self, want: Want) -> None:
        """Forget a settled request, and withdraw the demand about its missing answer."""
        del self._wants[want.intent_id]
        if want.role is IntentRole.CANCEL and want.tries >= MAX_CANCEL_TRIES:
            await self._demand_for(want, SignalLevel.CLEAR)

    async def _demand_for(self, want: Want, level: SignalLevel) -> None:
        await self._ports.demand(
            SignalKind.INTENT,
            level,
            ReasonCode.INTENT_SENT_UNKNOWN,
            source=f"cancel:{want.target}",
            detail=f"{want.tries} cancels of order {want.order_id} without an answer",
        )

    def _read_target(self, want: Want) -> None:
        """Read the order a cancel aims at; its state shows what became of the cancel."""
        if not want.order_id:
            return
        ports, symbol, order_id = self._ports, want.symbol, want.order_id

        async def job() -> Work:
            update = await read_order(ports, symbol, order_id)
            return OrderRead(symbol=symbol, order_id=order_id, update=update)

        self._shop.crew.start(job)

    async def _settle(
        self,
        want: Want,
        told: MutationOutcome,
        *,
        outcome: Outcome | None = None,
        message: str = "",
    ) -> None:
        orders = self._orders(want)
        await self._ports.announce(
            self._ports.position,
            MutationSettled(
                position_id=want.position_id,
                symbol=want.symbol,
                order_intent_id=want.target or want.intent_id,
                role=want.role,
                outcome=told,
                code=outcome.code if outcome is not None else 0,
                message=outcome.message if outcome is not None else message,
                list_id=max((order.order_list_id for order in orders), default=-1),
                orders=orders,
                at_ms=self._ports.clock.now_ms(),
            ),
        )

    def _orders(self, want: Want) -> tuple[OrderView, ...]:
        owner = want.target or want.intent_id
        tracked = [t for t in self._shop.tracker.orders.values() if t.intent_id == owner]
        return tuple(t.view for t in tracked)


def _want_of(mutation: Mutation, owner: str) -> Want:
    intent = mutation.intent
    return Want(
        position_id=owner,
        decision_id=intent.decision_id,
        symbol=intent.symbol,
        role=intent.role,
        intent_id=intent.order_intent_id,
    )


def _above(message: ProtectWanted) -> Above:
    return Above(
        type=message.tp_type,
        trigger_price=message.tp_price,
        limit_price=message.tp_limit_price,
        trailing_delta=message.trailing_delta,
    )
