"""Runs the entry engines: one entry per symbol, from approval to the announcement of its end.

*Reads* fresh snapshots and risk's verdict for further attempts. *Writes* nothing itself; mutations
go through the mutation desk. *Owns* the running entries.
"""

from livespot.actors.entry_case import (
    FILLS_WAIT_MS,
    EntryCase,
    base_fee_bps,
    ended_with,
    ended_without,
    part_is_protectable,
    place_event,
)
from livespot.actors.entry_weighing import weigh
from livespot.actors.execution_work import Answered, AttemptWeighed, OrderRead, Shop, Work
from livespot.actors.mail import ApprovedEntry, EntryEnded, EntryOpened, ProposalEnded
from livespot.actors.mutation_desk import Ending, Outcome
from livespot.actors.order_reading import read_order
from livespot.actors.order_records import Tracked
from livespot.actors.sending import tell
from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import SymbolInfo
from livespot.contracts.orders import ListRequest, OrderIntent
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    IntentState,
    OrderType,
    SignalKind,
    SignalLevel,
)
from livespot.rules import entry_engine as engine
from livespot.rules.due import AT_ONCE, NEVER, earliest
from livespot.rules.exit_requests import cancel_mutation, replacing
from livespot.rules.intent_ids import entry_intent_id
from livespot.rules.quantize import OrderRefused
from livespot.rules.requests import (
    EntryDraft,
    Mutation,
    attached_kind,
    entry_mutation,
    request_of,
)


class EntryDesk:
    """Used by the execution actor's task only."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._ports = shop.ports
        self._cases: dict[str, EntryCase] = {}
        self.stopping = False

    @property
    def busy(self) -> bool:
        return bool(self._cases)

    def due_ms(self) -> int:
        """When `tick` next has work, in monotonic ms."""
        if not self._cases:
            return NEVER
        ports, shut = self._ports, self.stopping or not self._ports.gate.entries_open
        return earliest(
            *(
                AT_ONCE
                if case.finish is not None and not self._lacks_fills(case, self._bought(case))
                else case.due_ms(ports.settings.entry, halted=shut)
                for case in self._cases.values()
            )
        )

    def owns(self, intent_id: str) -> bool:
        return any(intent_id in c.attempts or intent_id in c.cancels for c in self._cases.values())

    # ---- beginning

    async def begin(self, message: ApprovedEntry, info: SymbolInfo | None) -> None:
        decision, verdict = message.decision, message.decision.risk_verdict
        refusal = self._refusal(decision.symbol, info)
        if refusal is not None or info is None or verdict is None or decision.entry_plan is None:
            await self._decline(decision, refusal or ReasonCode.STRAT_INPUT_INVALID)
            return
        now = self._ports.clock.monotonic_ms()
        approved_ms = now - max(0, self._ports.clock.now_ms() - message.approved_at_ms)
        state, commands = engine.begin(
            decision.entry_plan,
            verdict.approved_qty,
            approved_ms=approved_ms,
            now_ms=now,
            max_age_ms=self._ports.settings.timing.decision_max_age_ms,
            replaces=self._replaces(info),
        )
        case = EntryCase(
            decision=decision,
            snapshot=message.snapshot,
            info=info,
            state=state,
            attempt_decision=decision,
            weighed_ms=approved_ms,
        )
        self._cases[decision.symbol] = case
        await self._carry_out(case, commands)

    async def wind_down(self, decision: Decision, intent: OrderIntent) -> bool:
        """Take over an entry of an earlier life: watch it, cancel it, buy nothing more.

        False when another entry of the symbol is running.
        """
        if self.owns(intent.order_intent_id):
            return True
        if decision.entry_plan is None:
            return False
        known = self._cases.get(decision.symbol)
        if known is not None:
            return self._join(known, decision, intent)
        tracked = self._shop.tracker.order_of(intent.order_intent_id, IntentRole.ENTRY)
        unknown = intent.state is IntentState.SENT_UNKNOWN
        qty = decision.risk_verdict.approved_qty if decision.risk_verdict else ZERO
        now = self._ports.clock.monotonic_ms()
        case = EntryCase(
            decision=decision,
            snapshot=None,
            info=None,
            state=engine.EntryState(
                plan=decision.entry_plan,
                qty=qty,
                approved_ms=now,
                phase=engine.Phase.UNRESOLVED if unknown else engine.Phase.PLACING,
                attempt=intent.attempt,
                placed_ms=now,
                first_placed_ms=now,
            ),
            attempt_decision=decision,
            weighed_ms=now,
            attempts={intent.order_intent_id: intent.attempt},
            current=intent.order_intent_id,
            opened=True,
        )
        self._cases[decision.symbol] = case
        opened = EntryOpened(
            decision=decision,
            order_intent_id=intent.order_intent_id,
            at_ms=self._ports.clock.now_ms(),
            taken_over=True,
        )
        await self._ports.announce(self._ports.position, opened)
        await self._feed(case, engine.Halted(reason=ReasonCode.BOOT_RECOVERY))
        if tracked is not None:
            await self.order_changed(tracked)
        return True

    def _join(self, case: EntryCase, decision: Decision, intent: OrderIntent) -> bool:
        """Take the older order of an unanswered cancel-replace into the case of the newer one."""
        tracked = self._shop.tracker.order_of(intent.order_intent_id, IntentRole.ENTRY)
        state = case.state
        awaited = state.phase is engine.Phase.UNRESOLVED and state.old is None
        same = case.decision.decision_id == decision.decision_id
        if tracked is None or not (same and awaited and intent.attempt < state.attempt):
            return False
        case.attempts[intent.order_intent_id] = intent.attempt
        case.state = engine.beside(state, tracked.view, intent.attempt)
        return True

    def _refusal(self, symbol: str, info: SymbolInfo | None) -> ReasonCode | None:
        if self.stopping or not self._ports.gate.entries_open:
            return ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY
        if symbol in self._cases or self._shop.tracker.unknown_intents(symbol):
            return ReasonCode.RISK_ENTRY_ALREADY_PENDING
        if self._shop.tracker.foreign.live_on(symbol):
            return ReasonCode.FOREIGN_ORDER_DETECTED
        if info is None or not info.is_trading:
            return ReasonCode.SYMBOL_NOT_TRADING
        return None

    async def _decline(self, decision: Decision, reason: ReasonCode) -> None:
        now = self._ports.clock.now_ms()
        ended = ended_without(decision, "", engine_reasons=(reason,), at_ms=now)
        await self._ports.announce(self._ports.risk, ended)
        await self._release_proposal(decision, (reason,))

    async def _release_proposal(self, decision: Decision, reasons: tuple[ReasonCode, ...]) -> None:
        # The signal actor knows the proposal by the id it had before the gate changed it.
        original = decision.ai_gate.original_decision_id if decision.ai_gate is not None else ""
        await tell(
            self._ports.signal,
            ProposalEnded(
                decision_id=original or decision.decision_id,
                symbol=decision.symbol,
                reasons=reasons,
            ),
        )

    # ---- events

    async def tick(self) -> None:
        for case in list(self._cases.values()):
            if case.finish is not None:
                await self._announce(case)
                continue
            if self.stopping:
                await self._feed(case, engine.Halted(reason=ReasonCode.OPERATOR_STOP))
            elif not self._ports.gate.entries_open:
                await self._feed(case, engine.Halted(reason=ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY))
            await self._feed(case, engine.Ticked())

    async def created(self, mutation: Mutation) -> None:
        """The first durable row of an entry binds its reserve."""
        case = self._case_of(mutation.intent.order_intent_id)
        if case is None or case.opened or not mutation.is_entry:
            return
        case.opened = True
        opened = EntryOpened(
            decision=case.decision,
            order_intent_id=mutation.intent.order_intent_id,
            at_ms=self._ports.clock.now_ms(),
        )
        await self._ports.announce(self._ports.risk, opened)
        await self._ports.announce(self._ports.position, opened)

    async def order_changed(self, tracked: Tracked, *, answers_cancel: bool = False) -> None:
        """Pass a newer state of an entry order to its engine; other orders are ignored."""
        case = self._case_of(tracked.intent_id)
        if case is None or tracked.role is not IntentRole.ENTRY:
            return
        event = engine.OrderSeen(
            order=tracked.view,
            attempt=case.attempts[tracked.intent_id],
            protectable=part_is_protectable(case, tracked.view.executed_qty, self._ports.settings),
            answers_cancel=answers_cancel,
            age_ms=self._ports.server_clock.server_now_ms() - tracked.view.exchange_time_ms,
        )
        await self._feed(case, event)

    async def answered(self, done: Answered) -> None:
        """The answer to a mutation of an entry; the orders it named have been passed on before."""
        intent_id = done.mutation.intent.order_intent_id
        case = self._case_of(intent_id)
        if case is None:
            return
        if intent_id in case.cancels:
            await self._cancel_answered(case, intent_id, done.outcome)
            return
        event = place_event(done.outcome)
        if event is not None:
            await self._feed(case, event)

    async def settled(self, intent: OrderIntent) -> None:
        """An entry of unknown outcome was proven absent or refused."""
        case = self._case_of(intent.order_intent_id)
        if case is None or intent.order_intent_id != case.current:
            return
        if intent.state is IntentState.NOT_FOUND:
            await self._feed(case, engine.PlaceNotFound())
        elif intent.state is IntentState.FAILED_TERMINAL:
            refused = engine.PlaceRefused(crossed=False, reason=ReasonCode.ORDER_SUBMIT_REJECTED)
            await self._feed(case, refused)

    async def weighed(self, done: AttemptWeighed) -> None:
        case = self._cases.get(done.symbol)
        if case is None or case.decision.decision_id != done.decision_id:
            return
        plan = done.decision.entry_plan if done.decision is not None else None
        if self._shop.tracker.foreign.live_on(done.symbol):
            await self._feed(case, engine.WeighedAway(reason=ReasonCode.FOREIGN_ORDER_DETECTED))
            return
        if done.decision is None or plan is None or done.attempt != case.state.next_attempt:
            await self._feed(case, engine.WeighedAway(reason=done.reason))
            return
        case.attempt_decision = done.decision
        case.weighed_ms = self._ports.clock.monotonic_ms()
        await self._feed(case, engine.Weighed(plan=plan, qty=done.qty))

    async def cancel_unresolved(self, intent: OrderIntent) -> None:
        """Cancel an entry of unknown outcome by its client id; the answer shows if it exists."""
        case = self._case_of(intent.order_intent_id)
        if case is None or not self._ports.gate.mutations_open:
            return
        await self._send_cancel(case, order_id=0, only_new=False)

    def _replaces(self, info: SymbolInfo) -> bool:
        """Whether a reprice may use cancel-replace; an entry with attached legs cannot."""
        return info.cancel_replace_allowed and not attached_kind(info, self._ports.settings.exit)

    async def _cancel_answered(self, case: EntryCase, intent_id: str, outcome: Outcome) -> None:
        target, old = case.cancels[intent_id], case.state.old
        awaited = case.state.attempt if old is None else old.attempt
        if case.attempts.get(target) != awaited:
            return
        match outcome.ending:
            case Ending.ACCEPTED:
                tracked = self._shop.tracker.order_of(target, IntentRole.ENTRY)
                if tracked is None or not tracked.view.status.is_terminal:
                    await self._feed(case, engine.CancelFoundNothing())
            case Ending.REFUSED if "cancel restrictions" in outcome.message:
                await self._feed(case, engine.CancelRestricted())
            case Ending.REFUSED if outcome.no_such_order or outcome.code == -2011:
                await self._feed(case, engine.CancelFoundNothing())
            case _:
                closed, silent_ms = outcome.market_closed, outcome.silent_ms
                await self._feed(case, engine.CancelFailed(closed=closed, silent_ms=silent_ms))

    # ---- commands

    async def _feed(self, case: EntryCase, event: engine.Event) -> None:
        case.state, commands = engine.advance(
            case.state,
            event,
            now_ms=self._ports.clock.monotonic_ms(),
            settings=self._ports.settings.entry,
        )
        case.current = case.intent_of(case.state.attempt) or case.current
        await self._carry_out(case, commands)

    async def _carry_out(self, case: EntryCase, commands: tuple[engine.Command, ...]) -> None:
        for command in commands:
            match command:
                case engine.Place():
                    await self._place(case, command)
                case engine.Replace():
                    await self._replace(case, command)
                case engine.Cancel():
                    target = case.intent_of(command.attempt)
                    await self._send_cancel(
                        case, order_id=command.order_id, only_new=command.only_new, target=target
                    )
                case engine.QueryOrder():
                    self._query(case, command.order_id)
                case engine.Weigh():
                    self._weigh(case, command)
                case engine.CancelStuck():
                    await self._ports.demand(
                        SignalKind.INTENT,
                        SignalLevel.DEGRADE,
                        ReasonCode.INTENT_SENT_UNKNOWN,
                        source=f"cancel:{case.current}",
                        detail="a cancel stayed unanswered too often",
                    )
                case engine.Finish():
                    case.finish = command
                    case.finished_ms = self._ports.clock.monotonic_ms()
                    await self._announce(case)

    async def _place(self, case: EntryCase, command: engine.Place) -> None:
        mutation = self._attempt(case, command)
        if isinstance(mutation, OrderRefused):
            refused = engine.PlaceRefused(crossed=False, reason=mutation.reason)
            await self._feed(case, refused)
            return
        self._launch(case, mutation, command.attempt)

    async def _replace(self, case: EntryCase, command: engine.Replace) -> None:
        placement = self._attempt(case, command)
        if isinstance(placement, OrderRefused):
            refused = engine.PlaceRefused(crossed=False, reason=placement.reason)
            await self._feed(case, refused)
            return
        target = case.intent_of(command.replaced)
        cancel = await self._cancel_of(target, command.order_id, only_new=True)
        case.cancels[cancel.intent.order_intent_id] = target
        self._launch(case, replacing(cancel, placement), command.attempt)

    def _launch(self, case: EntryCase, mutation: Mutation, attempt: int) -> None:
        intent_id = mutation.intent.order_intent_id
        case.attempts[intent_id] = attempt
        case.current = intent_id
        self._shop.dispatch(mutation)

    def _attempt(
        self, case: EntryCase, command: engine.Place | engine.Replace
    ) -> Mutation | OrderRefused:
        """The request and the ledger row of one attempt, not sent yet; or why it cannot be sent."""
        if case.info is None:
            raise ValueError(f"{case.decision.decision_id!r} is wound down and may not place")
        market = command.order_type is OrderType.MARKET
        intent_id = entry_intent_id(
            case.attempt_decision,
            action=IntentAction.SUBMIT,
            attempt=command.attempt,
            price=ZERO if market else command.plan.limit_price,
            qty=command.qty,
            order_type=command.order_type,
        )
        draft = EntryDraft(
            intent_id=intent_id,
            decision=case.attempt_decision,
            qty=command.qty,
            attempt=command.attempt,
            order_type=command.order_type,
            info=case.info,
            base_fee_bps=base_fee_bps(case, self._ports.settings),
            recv_window_ms=self._shop.desk.entry_recv_window_ms(),
            now_ms=self._ports.clock.now_ms(),
            not_after_ms=case.weighed_ms + self._ports.settings.timing.decision_max_age_ms,
            standing=self._shop.tracker.standing(case.decision.symbol, but=case.attempts),
        )
        return entry_mutation(draft, self._ports.settings.exit)

    async def _send_cancel(
        self, case: EntryCase, *, order_id: int, only_new: bool, target: str = ""
    ) -> None:
        """Cancel the order of intent `target`, by default the current attempt's."""
        if not self._shop.may_cancel(case.decision.symbol, order_id):
            await self._feed(case, engine.CancelFoundNothing())
            return
        owner = target or case.current
        mutation = await self._cancel_of(owner, order_id, only_new=only_new)
        case.cancels[mutation.intent.order_intent_id] = owner
        self._shop.dispatch(mutation)

    async def _cancel_of(self, intent_id: str, order_id: int, *, only_new: bool) -> Mutation:
        target = self._shop.tracker.intents[intent_id]
        return cancel_mutation(
            target,
            order_id=order_id,
            orig_client_order_id=target.client_order_id,
            only_new=only_new,
            attempt=await self._shop.attempts.next(
                target.decision_id, target.order_intent_id, IntentRole.CANCEL
            ),
            now_ms=self._ports.clock.now_ms(),
        )

    def _query(self, case: EntryCase, order_id: int) -> None:
        ports, symbol = self._ports, case.decision.symbol

        async def job() -> Work:
            update = await read_order(ports, symbol, order_id)
            return OrderRead(symbol=symbol, order_id=order_id, update=update)

        self._shop.crew.start(job)

    def _weigh(self, case: EntryCase, command: engine.Weigh) -> None:
        ports, decision, qty = self._ports, case.decision, case.state.qty

        async def job() -> Work:
            return await weigh(ports, decision, command, qty)

        self._shop.crew.start(job)

    # ---- ending

    async def _announce(self, case: EntryCase) -> None:
        """Announce the end once the last order's fills are booked, or after a short wait."""
        finish = case.finish
        if finish is None:
            return
        tracked, now_ms = self._bought(case), self._ports.clock.monotonic_ms()
        if self._lacks_fills(case, tracked) and now_ms < case.finished_ms + FILLS_WAIT_MS:
            return
        del self._cases[case.decision.symbol]
        now = self._ports.clock.now_ms()
        await self._withdraw_demands(case)
        ended = ended_without(case.decision, case.current, engine_reasons=finish.reasons, at_ms=now)
        if tracked is not None and finish.executed > 0:
            ended = self._with_fill(case, ended, tracked)
        await self._ports.announce(self._ports.risk, ended)
        if case.opened:
            await self._ports.announce(self._ports.position, ended)
        await self._release_proposal(case.decision, finish.reasons)

    def _lacks_fills(self, case: EntryCase, tracked: Tracked | None) -> bool:
        bought = case.finish is not None and case.finish.executed > 0
        return bought and tracked is not None and tracked.missing > 0

    async def _withdraw_demands(self, case: EntryCase) -> None:
        for intent_id in case.attempts:
            await self._ports.demand(
                SignalKind.INTENT,
                SignalLevel.CLEAR,
                ReasonCode.INTENT_CONFIRMED_BY_REST,
                source=f"cancel:{intent_id}",
                detail="the entry is over",
            )

    def _bought(self, case: EntryCase) -> Tracked | None:
        """The newest order of the entry that executed anything, else its last order."""
        orders = [self._shop.tracker.order_of(i, IntentRole.ENTRY) for i in case.attempts]
        bought = [order for order in orders if order is not None and order.view.executed_qty > 0]
        return bought[-1] if bought else self._shop.tracker.order_of(case.current, IntentRole.ENTRY)

    def _with_fill(self, case: EntryCase, ended: EntryEnded, tracked: Tracked) -> EntryEnded:
        tracker, owner = self._shop.tracker, tracked.intent_id
        attached = isinstance(request_of(tracker.intents[owner].payload), ListRequest)
        legs = {a.role: a.client_order_id for a in tracker.aliases_of(owner)} if attached else {}
        return ended_with(ended, tracked, legs)

    def _case_of(self, intent_id: str) -> EntryCase | None:
        return next(
            (
                case
                for case in self._cases.values()
                if intent_id in case.attempts or intent_id in case.cancels
            ),
            None,
        )
