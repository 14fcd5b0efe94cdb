"""One life of the execution actor: its state, its loop, and who hears what."""

from collections.abc import Awaitable, Callable, Iterator
from typing import assert_never

from livespot.actors.catching_up import CatchingUp
from livespot.actors.entry_desk import EntryDesk
from livespot.actors.execution_answers import AnswerBook
from livespot.actors.execution_ports import Crew, ExecutionPorts, Reference
from livespot.actors.execution_recovery import Recovery
from livespot.actors.execution_work import (
    Answered,
    Attempts,
    AttemptWeighed,
    ClockChecked,
    Created,
    Investigated,
    OrderRead,
    Received,
    Shop,
    Tick,
    Work,
)
from livespot.actors.mail import (
    ApprovedEntry,
    CancelWanted,
    CloseWanted,
    ExecutionInbox,
    Marks,
    OrdersAsked,
    ProtectWanted,
    ReconcileWanted,
    RecoverAsked,
    StopAsked,
    SymbolsLearned,
    UserStreamChanged,
)
from livespot.actors.mutation_desk import Ending, MutationDesk
from livespot.actors.order_reading import read_order
from livespot.actors.order_records import Tracked
from livespot.actors.order_tracker import Change, OrderTracker
from livespot.actors.resolver import TOLD_PAUSE, Findings, Resolver
from livespot.actors.sending import tell
from livespot.actors.want_desk import WantDesk
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import CancelRequest, ListView, OrderIntent, OrderUpdate
from livespot.contracts.system import ModeChanged
from livespot.contracts.vocabulary import (
    IntentRole,
    IntentState,
    Severity,
    SignalKind,
    SignalLevel,
)
from livespot.rules import ledger
from livespot.rules.denied_cancels import DeniedCancels, read_pause_ms
from livespot.rules.due import AT_ONCE, NEVER, earliest
from livespot.rules.evidence import Case, is_protective

_READ_AGAIN_MS = 1000


class ExecutionLife:
    """Everything here runs in one task; jobs beside it only bring `Work` back."""

    def __init__(self, ports: ExecutionPorts, crew: Crew[Work]) -> None:
        self._ports = ports
        self._crew = crew
        self._reference = Reference()
        self._tracker = OrderTracker(ports, self._reference)
        self._resolver = Resolver(ports, self._tracker.knows)
        self._shop = Shop(
            ports=ports,
            crew=crew,
            tracker=self._tracker,
            desk=MutationDesk(ports, self._tracker.intents),
            resolver=self._resolver,
            attempts=Attempts(ports),
            denied=DeniedCancels(),
        )
        self._entries = EntryDesk(self._shop)
        self._wants = WantDesk(self._shop, self._reference)
        self._answers = AnswerBook(self._shop)
        self._catching_up = CatchingUp(ports, crew)
        self._recovery = Recovery(
            self._shop,
            self._entries,
            self._wants,
            (self._apply, self._investigated),
        )
        self._reading: dict[tuple[str, int], int] = {}
        self._unseen: set[tuple[str, int]] = set()
        # Legs of lists that are over: when they are asked for, and how often they were.
        self._doubted: dict[tuple[str, int], tuple[int, int]] = {}
        self._current: Work | None = None
        self._stop: StopAsked | None = None
        self._stop_ms = 0
        # What whoever brings the ticks waits for.
        self.awaited_ms = NEVER

    def due_ms(self) -> int:
        """From which instant on a tick can have something to do, in steady ms."""
        return earliest(
            self._answers.due_ms,
            self._catching_up.due_ms,
            self._entries.due_ms(),
            self._wants.due_ms,
            self._resolver.due_ms(self._ports.settings.exit.protection_pause_ms),
            self._shop.denied.due_ms,
            *(due_ms for due_ms, _ in self._doubted.values()),
            *(self._reading.get(key, AT_ONCE) for key in self._unread()),
            *((self._stop_due_ms(),) if self._stop is not None else ()),
        )

    def _unread(self) -> Iterator[tuple[str, int]]:
        """The orders that have to be read."""
        for key in self._unseen:
            if not self._tracker.knows(*key):
                yield key
        for tracked in self._tracker.incomplete():
            yield tracked.view.symbol, tracked.view.order_id

    async def serve(self) -> None:
        """Work until the inbox has ended."""
        while True:
            work = await self._crew.next()
            self._ports.beat()
            if isinstance(work, Received) and work.message is None:
                return
            self._current = work
            await self._take(work)
            self._current = None
            if self.due_ms() < self.awaited_ms:
                # Whoever brings the ticks waits for something later, or for nothing at all.
                self._ports.inbox.nudge()

    async def finish(self) -> None:
        """Make the answers durable that came in while the actor was being stopped."""
        left = self._crew.drain()
        if isinstance(self._current, Answered):
            left.insert(0, self._current)
        for work in left:
            if isinstance(work, Answered) and self._is_open(work):
                await self._answers.record(work)

    def _is_open(self, done: Answered) -> bool:
        intent = self._tracker.intents.get(done.mutation.intent.order_intent_id)
        return intent is not None and intent.state is IntentState.SENT_UNKNOWN

    async def _take(self, work: Work) -> None:
        match work:
            case Received():
                if work.message is not None:
                    await self._hear(work.message)
            case Created():
                await self._entries.created(work.mutation)
            case Answered():
                await self._answered(work)
            case Investigated():
                await self._investigated(work.findings)
            case OrderRead():
                await self._order_read(work)
            case AttemptWeighed():
                await self._entries.weighed(work)
            case ClockChecked():
                await self._answers.clock_checked(work)
            case Tick():
                await self._tick()
            case _:
                assert_never(work)

    async def _hear(self, message: ExecutionInbox) -> None:
        match message:
            case ApprovedEntry():
                info = self._reference.infos.get(message.decision.symbol)
                await self._entries.begin(message, info)
            case OrderUpdate():
                await self._apply(await self._tracker.absorb((message,)))
            case ListView():
                await self._apply(await self._tracker.absorb(order_list=message))
            case ProtectWanted():
                await self._wants.protect(message)
            case CloseWanted():
                await self._wants.close(message)
            case CancelWanted():
                await self._wants.cancel(message)
            case _:
                await self._hear_rest(message)

    async def _hear_rest(
        self,
        message: OrdersAsked
        | RecoverAsked
        | StopAsked
        | Marks
        | SymbolsLearned
        | UserStreamChanged
        | ModeChanged,
    ) -> None:
        match message:
            case OrdersAsked():
                message.reply.answer(self._tracker.open_orders())
            case RecoverAsked():
                await self._answers.begin_anew()
                message.reply.answer(await self._recovery.run())
            case StopAsked():
                self._entries.stopping = True
                self._stop = message
                self._stop_ms = self._ports.clock.monotonic_ms() + message.within_ms
                await self._entries.tick()
                self._answer_stop()
            case Marks():
                self._reference.bids.update(message.bids)
            case SymbolsLearned():
                self._reference.infos.update(message.infos)
            case UserStreamChanged():
                await tell(self._ports.reconciler, ReconcileWanted(cause="user stream", symbol=""))
                for order in self._tracker.foreign.living() if message.live else ():
                    # Its end may have been told while nobody listened.
                    self._fetch_order(order.symbol, order.order_id)
            case ModeChanged():
                await self._entries.tick()
            case _:
                assert_never(message)

    # ---- results of jobs

    async def _answered(self, answer: Answered) -> None:
        for half in answer.halves:
            await self._half_answered(half)

    async def _half_answered(self, done: Answered) -> None:
        change = await self._answers.record(done)
        await self._apply(change)
        self._note_denial(done)
        mutation, outcome = done.mutation, done.outcome
        intent = self._tracker.intents.get(mutation.intent.order_intent_id)
        if outcome.ending is Ending.UNKNOWN and intent is not None:
            await self._begin_case(intent)
        if mutation.intent.role is IntentRole.CANCEL and outcome.ending is Ending.ACCEPTED:
            for update in outcome.updates:
                key = (update.order.symbol, update.order.order_id)
                tracked = self._tracker.orders.get(key)
                if tracked is not None:
                    await self._entries.order_changed(tracked, answers_cancel=True)
        await self._entries.answered(done)
        await self._wants.answered(done)

    def _note_denial(self, done: Answered) -> None:
        """A cancel that found no such order: from now on the order is asked for, not cancelled.

        One that found its market closed: nobody asks again before the pause is over.
        """
        request = done.mutation.request
        if not isinstance(request, CancelRequest) or not request.order_id:
            return
        key, now_ms = (request.symbol, request.order_id), self._ports.clock.monotonic_ms()
        if done.outcome.market_closed:
            self._shop.denied.note_closed(key, now_ms)
        if done.outcome.no_such_order:
            tracked = self._tracker.orders.get(key)
            if tracked is None or not tracked.view.status.is_terminal:
                self._shop.denied.note(key, now_ms)

    async def _begin_case(self, intent: OrderIntent) -> None:
        if intent.state is not IntentState.SENT_UNKNOWN:
            return
        if intent.role is IntentRole.CANCEL:
            await self._refresh_target(intent)
            self._shop.doubt_cancel(intent)
        else:
            aliases = self._tracker.aliases_of(intent.order_intent_id)
            self._resolver.open(intent, aliases)

    async def _refresh_target(self, cancel: OrderIntent) -> None:
        """An unanswered cancel may have hit: its id is one more under which to look."""
        target = self._tracker.intents.get(cancel.parent_order_intent_id)
        if target is not None and target.state is IntentState.SENT_UNKNOWN:
            self._resolver.open(target, self._tracker.aliases_of(target.order_intent_id))

    async def _investigated(self, findings: Findings) -> None:
        for update in findings.updates:
            await self._apply(await self._tracker.absorb((update,)))
        for order_list in findings.lists:
            await self._apply(await self._tracker.absorb(order_list=order_list))
        proven = self._resolver.note(findings, engine_ms=self._tracker.engine_ms)
        intent = self._tracker.intents.get(findings.intent_id)
        if intent is None or intent.state is not IntentState.SENT_UNKNOWN:
            return
        if proven:
            await self._absent(intent)
        else:
            await self._still_unknown(intent, findings)

    async def _absent(self, intent: OrderIntent) -> None:
        now = self._ports.clock.now_ms()
        step = ledger.Step(
            to_state=IntentState.NOT_FOUND,
            at_ms=now,
            reasons=(ReasonCode.INTENT_NOT_FOUND_BY_REST,),
            evidence=_denial(intent),
        )
        await self._apply(await self._tracker.absorb(step=(intent.order_intent_id, step)))
        for cancel in self._tracker.unknown_intents(intent.symbol):
            if cancel.parent_order_intent_id == intent.order_intent_id:
                moot = ledger.Step(
                    to_state=IntentState.FAILED_TERMINAL,
                    at_ms=now,
                    reasons=(ReasonCode.ORDER_CANCEL_REJECTED,),
                    evidence="its target is proven absent",
                )
                await self._apply(await self._tracker.absorb(step=(cancel.order_intent_id, moot)))

    async def _still_unknown(self, intent: OrderIntent, findings: Findings) -> None:
        intent_id = intent.order_intent_id
        if intent.role is IntentRole.CANCEL:
            return
        if is_protective(intent.role):
            # A round in which nothing could be read is not a negative one.
            if findings.negatives:
                await self._wants.still_unknown(intent)
            return
        if self._resolver.tell_once(intent_id, "degrade"):
            await self._ports.demand(
                SignalKind.INTENT,
                SignalLevel.DEGRADE,
                ReasonCode.INTENT_SENT_UNKNOWN,
                source=intent_id,
                detail=f"entry on {intent.symbol} unknown after one round",
            )
            await self._entries.cancel_unresolved(intent)
            self._resolver.open(intent, self._tracker.aliases_of(intent_id))

    async def _order_read(self, done: OrderRead) -> None:
        key = (done.symbol, done.order_id)
        if done.update is None:
            return
        await self._apply(await self._tracker.absorb((done.update,)))
        tracked = self._tracker.orders.get(key)
        if tracked is not None:
            await self._entries.order_changed(tracked)

    async def _apply(self, change: Change) -> None:
        """Let everybody inside know what one absorption changed."""
        for tracked in change.orders:
            self._ask_no_more(tracked)
            await self._entries.order_changed(tracked)
            await self._adopt_if_orphan(tracked)
            await self._recovery.order_changed(tracked)
            self._doubt_cancels_of(tracked)
            if tracked.missing > 0:
                self._fetch_order(tracked.view.symbol, tracked.view.order_id)
        for key in change.unseen:
            self._unseen.add(key)
            self._fetch_order(*key)
        for key in change.doubted:
            # The news of its end is usually a moment behind that of its list.
            self._doubted[key] = (self._ports.clock.monotonic_ms() + _READ_AGAIN_MS, 0)
        for intent in change.moved:
            if intent.state not in ledger.SETTLED:
                continue
            had_case = self._resolver.close(intent.order_intent_id)
            if had_case and intent.role is not IntentRole.CANCEL:
                await self._withdraw(intent)
                await self._entries.settled(intent)
            await self._wants.settled(intent)
        for intent in change.reopened:
            if intent.role is IntentRole.ENTRY:
                await self._recovery.adopt(intent)

    def _ask_no_more(self, tracked: Tracked) -> None:
        """What has shown its end needs no reads."""
        if tracked.view.status.is_terminal:
            key = (tracked.view.symbol, tracked.view.order_id)
            self._shop.denied.forget(key)
            self._doubted.pop(key, None)

    def _doubt_cancels_of(self, tracked: Tracked) -> None:
        """It has a number now: an unanswered cancel by its client id can be settled by it."""
        if tracked.view.status.is_terminal:
            return
        for cancel in self._tracker.unknown_intents(tracked.view.symbol):
            if cancel.parent_order_intent_id == tracked.intent_id:
                self._shop.doubt_cancel(cancel)

    async def _adopt_if_orphan(self, tracked: Tracked) -> None:
        """A living buy of ours without an engine is never left to itself."""
        living = tracked.role is IntentRole.ENTRY and not tracked.view.status.is_terminal
        if living and not self._entries.owns(tracked.intent_id):
            await self._recovery.adopt(self._tracker.intents[tracked.intent_id])

    async def _withdraw(self, intent: OrderIntent) -> None:
        await self._ports.demand(
            SignalKind.INTENT,
            SignalLevel.CLEAR,
            ReasonCode.INTENT_CONFIRMED_BY_REST,
            source=intent.order_intent_id,
            detail=f"settled: {intent.state}",
        )

    # ---- time

    async def _tick(self) -> None:
        await self._answers.tick()
        await self._catching_up.tick()
        await self._entries.tick()
        await self._wants.tick()
        for case in self._resolver.due():
            self._crew.start(self._investigation(case))
        await self._watch_protection()
        self._unseen = {key for key in self._unseen if not self._tracker.knows(*key)}
        for key in self._unseen:
            self._fetch_order(*key)
        for key in self._shop.denied.due(self._ports.clock.monotonic_ms()):
            self._fetch_order(*key)
        for tracked in self._tracker.incomplete():
            self._fetch_order(tracked.view.symbol, tracked.view.order_id)
        self._ask_for_doubted()
        self._answer_stop()

    def _ask_for_doubted(self) -> None:
        now = self._ports.clock.monotonic_ms()
        for key, (due_ms, reads) in list(self._doubted.items()):
            if now >= due_ms:
                self._doubted[key] = (now + read_pause_ms(reads + 1), reads + 1)
                self._fetch_order(*key)

    def _investigation(self, case: Case) -> Callable[[], Awaitable[Work]]:
        async def job() -> Work:
            return Investigated(findings=await self._resolver.investigate(case))

        return job

    async def _watch_protection(self) -> None:
        limit = self._ports.settings.exit.protection_pause_ms
        for intent in self._resolver.cases():
            intent_id = intent.order_intent_id
            if not is_protective(intent.role) or self._resolver.age_ms(intent_id) < limit:
                continue
            if not self._resolver.tell_once(intent_id, TOLD_PAUSE):
                continue
            reason = ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION
            text = f"{intent.role} on {intent.symbol} is unanswered for {limit} ms"
            await self._ports.alert(Severity.CRIT, reason, text, symbol=intent.symbol)
            await self._ports.demand(
                SignalKind.INTENT, SignalLevel.PAUSE, reason, source=intent_id, detail=text
            )

    def _fetch_order(self, symbol: str, order_id: int) -> None:
        now, key = self._ports.clock.monotonic_ms(), (symbol, order_id)
        if now < self._reading.get(key, 0):
            return
        self._reading[key] = now + _READ_AGAIN_MS
        ports = self._ports

        async def job() -> Work:
            update = await read_order(ports, symbol, order_id)
            return OrderRead(symbol=symbol, order_id=order_id, update=update)

        self._crew.start(job)

    def _answer_stop(self) -> None:
        if self._stop is None:
            return
        if self._ports.clock.monotonic_ms() >= self._stop_due_ms():
            self._stop.reply.answer(None)
            self._stop = None

    def _stop_due_ms(self) -> int:
        """When whoever asked for the end is answered: at once where nothing is on its way.

        Once nothing may leave any more, only answers are worth waiting for.
        """
        busy = self._shop.desk.under_way > 0
        if self._ports.gate.mutations_open:
            busy = busy or self._entries.busy or self._wants.busy
        return self._stop_ms if busy else AT_ONCE


def _denial(intent: OrderIntent) -> str:
    cancel = intent.role is IntentRole.CANCEL
    what = "its order still standing" if cancel else "every id denied"
    return f"behind the fence, the engine beyond, {what}"
