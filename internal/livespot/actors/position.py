"""Keeps the state of every position and never leaves one without protection.

*Reads* fills, order states and answers of execution, balances, best bids. *Writes* position rows
with POSITION_CHANGED and PROTECTION_CHANGED; wants (protect, close, cancel) to execution; each
change to risk, scanner, signal and reconciler; demands and alerts to the governor. *Owns* the
positions and the ladder of each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import assert_never

import anyio
from anyio.abc import TaskStatus

from livespot.actors.mail import (
    AccountObserved,
    EntryEnded,
    EntryOpened,
    ExecutionInbox,
    FillBooked,
    FiltersRefreshWanted,
    GovernorInbox,
    Marks,
    MutationSettled,
    OrderProgressed,
    PositionInbox,
    PositionsAsked,
    ReconcilerInbox,
    ReconcileWanted,
    RecoverAsked,
    RiskInbox,
    ScannerInbox,
    SignalInbox,
    StopAsked,
    SymbolsLearned,
)
from livespot.actors.position_case import (
    Case,
    Desk,
    Sight,
    depends_on_time,
    differs,
    entry_of,
    expect_legs,
    present_row,
    scene_of,
    sight_of,
    take_entry_end,
    take_fill,
    take_settlement,
)
from livespot.actors.position_recovery import RecoverySources, adopt, recover, take_over
from livespot.actors.position_wants import want_of
from livespot.actors.sending import tell
from livespot.contracts.amounts import ZERO
from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import DeepFeatures
from livespot.contracts.orders import Balance, BalancesChanged, Position
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, CloseAsked, HealthSignal, ModeChanged
from livespot.contracts.venue import AccountReader, ServerClock
from livespot.contracts.vocabulary import (
    Mode,
    OrderStatus,
    Severity,
    Side,
    SignalKind,
    SignalLevel,
)
from livespot.rules import protection
from livespot.rules.position import opened
from livespot.rules.protection import (
    Cancel,
    Close,
    Command,
    Look,
    Notify,
    Protect,
    Signal,
    Swap,
)
from livespot.rules.protection_answers import account_seen, ordered_to_sell
from livespot.rules.protection_ladder import advance
from livespot.rules.trailing import still_allows
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.unprotected import Unprotected

# A tenth of the silence after which an actor counts as stuck.
_BEAT_MS = 500

TradeNews = EntryOpened | EntryEnded | FillBooked | OrderProgressed | MutationSettled
Reading = AccountObserved | BalancesChanged | Marks | SymbolsLearned | DeepFeatures | ModeChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionKeeper:
    mode: Mode
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    ledger: LedgerReader
    reads: AccountReader
    inbox: Mailbox[PositionInbox]
    execution: Mailbox[ExecutionInbox]
    risk: Mailbox[RiskInbox]
    scanner: Mailbox[ScannerInbox]
    signal: Mailbox[SignalInbox]
    reconciler: Mailbox[ReconcilerInbox]
    governor: Mailbox[GovernorInbox]
    beat: Callable[[], None]
    tick_ms: int = 100
    unprotected: Unprotected = field(default_factory=Unprotected)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until the inbox is closed and drained."""
        desk = Desk()
        task_status.started()
        while True:
            self.beat()
            try:
                message = await self._next(desk)
            except anyio.EndOfStream:
                return
            touched: Iterable[str] = ()
            if message is not None:
                touched = await self._take(desk, message)
            now = self.clock.monotonic_ms()
            desk.unseen_news = message is not None and now < desk.next_look_ms
            if not desk.unseen_news:
                desk.next_look_ms = now + self.tick_ms
                touched = tuple(desk.cases)
            for symbol in touched:
                await self._advance(desk, symbol)
            for case_ in desk.cases.values():
                self.unprotected.set(case_.holding.decision_id, holds=not case_.is_safe)
            self._answer_stop(desk)

    async def _next(self, desk: Desk) -> PositionInbox | None:
        """The next message, or None when all cases are due to be looked at.

        The wait is short while a case is in work, longer while all rest, and without limit when all
        are over, since then only a message can change anything.
        """
        message = self.inbox.receive_nowait()
        if message is not None:
            return message
        cases = desk.cases.values()
        if desk.unseen_news or desk.stop is not None or any(c.resting is None for c in cases):
            left_ms = max(0, desk.next_look_ms - self.clock.monotonic_ms())
            return await self.inbox.receive_within(left_ms / 1000)
        if all(c.guard.over for c in cases):
            return await self.inbox.receive()
        return await self.inbox.receive_within(_BEAT_MS / 1000)

    async def _take(self, desk: Desk, message: PositionInbox) -> Iterable[str]:
        """Take one message in; returns the symbols to look at again."""
        match message:
            case PositionsAsked():
                rows = (c.row for c in desk.cases.values() if c.is_open)
                message.reply.answer(tuple(row for row in rows if row is not None))
                return ()
            case RecoverAsked():
                summary = await recover(desk, self._sources())
                for symbol in tuple(desk.cases):
                    await self._ask_for_filters(desk, symbol)
                    await self._withdraw_demand_of_earlier_life(desk.cases[symbol])
                    await self._advance(desk, symbol)
                message.reply.answer(summary)
                return ()
            case StopAsked():
                desk.stop = message
                limit_ms = self.settings.exit.recovery_deadline_ms
                desk.stop_by_ms = self.clock.monotonic_ms() + limit_ms
                return tuple(desk.cases)
            case EntryOpened() | EntryEnded() | FillBooked() | OrderProgressed():
                return await self._trade(desk, message)
            case MutationSettled():
                return await self._trade(desk, message)
            case CloseAsked():
                return self._sell_out(desk, message)
            case (
                AccountObserved() | BalancesChanged() | Marks() | SymbolsLearned() | DeepFeatures()
            ):
                return self._learn(desk, message)
            case ModeChanged():
                return ()
            case _:
                assert_never(message)

    def _sell_out(self, desk: Desk, message: CloseAsked) -> Iterable[str]:
        for symbol in message.symbols:
            case_ = desk.cases.get(symbol)
            if case_ is not None:
                case_.guard = ordered_to_sell(case_.guard, self.clock.monotonic_ms())
        return message.symbols

    async def _ask_for_filters(self, desk: Desk, symbol: str) -> None:
        """Ask for a symbol's filters, which nobody sends again after a restart."""
        if symbol not in desk.infos:
            await tell(self.scanner, FiltersRefreshWanted(symbol=symbol, cause="RECOVERY"))

    async def _withdraw_demand_of_earlier_life(self, case_: Case) -> None:
        """This life does not know what an earlier one demanded and would never withdraw it."""
        if case_.guard.level is SignalLevel.CLEAR:
            clear = Signal(
                level=SignalLevel.CLEAR,
                reason=ReasonCode.PROTECTION_INSTALL_FAILED,
                value_ms=0,
                threshold_ms=self.settings.exit.protection_deadline_ms,
                detail="taken over anew",
            )
            await tell(self.governor, _demand(case_, clear, self.clock.now_ms()))

    def _learn(self, desk: Desk, message: Reading) -> Iterable[str]:
        match message:
            case Marks():
                desk.bids.update(message.bids)
                desk.bids_at_ms = message.at_ms
            case SymbolsLearned():
                desk.infos.update(message.infos)
            case DeepFeatures():
                holds = still_allows(message.regime, message.microstructure, self.settings.exit)
                desk.trends[message.symbol] = (holds, self.clock.now_ms())
            case BalancesChanged():
                desk.learn_balances(message)
            case AccountObserved():
                desk.learn_account(message.account)
                self._count_balance_read(desk, message)
                return tuple(desk.cases)
            case ModeChanged():
                pass
        return ()

    def _count_balance_read(self, desk: Desk, message: AccountObserved) -> None:
        """Count a balance read as one negative round for each unanswered request."""
        account = message.account
        for case in desk.cases.values():
            if not case.guard.flights:
                continue
            asset = case.holding.base_asset
            base = account.balances.get(asset, Balance(asset=asset, free=ZERO, locked=ZERO))
            sizes = protection.measure(case.guard, self._scene(desk, case))
            case.guard = account_seen(
                case.guard, base, held=sizes.held, at_wall_ms=account.local_received_ms
            )

    async def _trade(self, desk: Desk, message: TradeNews) -> Iterable[str]:
        match message:
            case EntryOpened():
                return await self._open(desk, message)
            case EntryEnded():
                case_ = self._case(desk, message.symbol, message.decision_id)
                if case_ is not None:
                    now = self.clock.monotonic_ms()
                    take_entry_end(case_, message, now, self.clock.now_ms())
                return (message.symbol,)
            case FillBooked():
                return await self._fill(desk, message)
            case OrderProgressed():
                case_ = self._case(desk, message.order.symbol, message.decision_id)
                if case_ is not None:
                    role = protection.leg_role(message.order, message.role)
                    case_.guard = protection.order_seen(
                        case_.guard, message.order, role, message.order_intent_id
                    )
                return (message.order.symbol,)
            case MutationSettled():
                case_ = desk.cases.get(message.symbol)
                if case_ is not None and case_.holding.position_id == message.position_id:
                    scene = self._scene(desk, case_)
                    take_settlement(case_, message, scene, self.clock.monotonic_ms())
                return (message.symbol,)

    async def _open(self, desk: Desk, message: EntryOpened) -> Iterable[str]:
        decision = message.decision
        known = desk.cases.get(decision.symbol)
        if known is not None and known.is_open:
            if known.holding.decision_id != decision.decision_id:
                await self._alert(
                    decision.symbol,
                    Notify(
                        severity=Severity.CRIT,
                        code=ReasonCode.RISK_POSITION_ALREADY_OPEN,
                        text="an entry was opened beside an open position; it is not tracked",
                    ),
                )
            return ()
        if message.taken_over:
            desk.cases[decision.symbol] = await take_over(desk, self._sources(), message)
            return (decision.symbol,)
        info = desk.infos.get(decision.symbol)
        desk.cases[decision.symbol] = Case(
            holding=replace(
                opened(
                    decision,
                    entry_intent_id=message.order_intent_id,
                    base_asset=desk.base_asset(decision.symbol, self.settings.venue.quote_asset),
                    constraints=info.constraints if info is not None else None,
                ),
                opened_at_ms=message.at_ms,
            )
        )
        return (decision.symbol,)

    async def _fill(self, desk: Desk, message: FillBooked) -> Iterable[str]:
        fill = message.fill
        case_ = self._case(desk, fill.symbol, message.decision_id)
        occupied = fill.symbol in desk.cases and desk.cases[fill.symbol].is_open
        if case_ is None and fill.side is Side.BUY and not occupied:
            case_ = await adopt(desk, self._sources(), message)
        if case_ is None:
            await self._alert(
                fill.symbol,
                Notify(
                    severity=Severity.CRIT,
                    code=ReasonCode.RECONCILE_DIFF_DETECTED,
                    text=f"fill {fill.trade_id} belongs to no position that is tracked",
                ),
            )
            return ()
        take_fill(case_, message)
        return (fill.symbol,)

    def _sources(self) -> RecoverySources:
        return RecoverySources(
            ledger=self.ledger,
            reads=self.reads,
            clock=self.clock,
            settings=self.settings,
            beat=self.beat,
        )

    def _case(self, desk: Desk, symbol: str, decision_id: str) -> Case | None:
        """The symbol's case, if it belongs to this decision."""
        case_ = desk.cases.get(symbol)
        return case_ if case_ and case_.holding.decision_id == decision_id else None

    def _scene(self, desk: Desk, case_: Case) -> protection.Scene:
        exchange_ms = self.server_clock.server_now_ms()
        return scene_of(desk, case_, self.settings, self.clock.now_ms(), exchange_ms)

    async def _advance(self, desk: Desk, symbol: str) -> None:
        """One pass of the ladder: make it durable, then send the commands, then announce it."""
        case_ = desk.cases.get(symbol)
        if case_ is None:
            return
        if self._rests(desk, case_):
            return
        self._end_forgotten_entry(case_)
        scene, before = self._scene(desk, case_), case_.guard
        case_.guard, commands = advance(case_.guard, scene, self.clock.monotonic_ms())
        row = present_row(case_, scene)
        acts = any(isinstance(c, Protect | Swap | Close | Cancel) for c in commands)
        changed = differs(row, case_.row)
        if changed or acts:
            await self.audit.commit(entry_of(row, case_.row, commands, case_.guard))
            case_.row = row
        for command in commands:
            await self._do(case_, command)
        if changed:
            await self._broadcast(row)
        elif (
            not commands
            and case_.guard == before
            and not depends_on_time(case_, self.clock.monotonic_ms())
        ):
            case_.resting = self._sight(desk, case_)

    def _sight(self, desk: Desk, case_: Case) -> Sight:
        return sight_of(desk, case_, self.settings, self.clock.now_ms())

    def _rests(self, desk: Desk, case_: Case) -> bool:
        """Whether a pass could find nothing new; any news ends the rest."""
        if case_.resting is not None and not self._sight(desk, case_).is_like(case_.resting):
            case_.resting = None
        return case_.resting is not None

    def _end_forgotten_entry(self, case_: Case) -> None:
        """End an entry whose order is over but whose end was never reported.

        It must not hold up the protection of what was bought.
        """
        guard, entry = case_.guard, case_.guard.entry
        if not case_.holding.entry_open or entry is None or entry.live:
            return
        now = self.clock.monotonic_ms()
        since = guard.naked_since_ms
        bare = since is not None and now - since >= self.settings.exit.protection_deadline_ms
        if not bare and not case_.recovered:
            return
        case_.holding = replace(
            case_.holding, entry_open=False, entry_filled_qty=entry.order.executed_qty
        )
        if entry.order.status is OrderStatus.FILLED:
            wall = self.clock.now_ms()
            expect_legs(case_, entry.intent_id, entry.order.executed_qty, (now, wall))

    async def _do(self, case_: Case, command: Command) -> None:
        match command:
            case Protect() | Swap() | Close() | Cancel():
                await tell(self.execution, want_of(case_, command))
            case Look():
                symbol = case_.holding.symbol
                await tell(self.reconciler, ReconcileWanted(cause=command.cause, symbol=symbol))
            case Signal():
                await tell(self.governor, _demand(case_, command, self.clock.now_ms()))
            case Notify():
                await self._alert(case_.holding.symbol, command)

    async def _alert(self, symbol: str, notice: Notify) -> None:
        alert = Alert(
            severity=notice.severity,
            code=notice.code,
            reasons=(notice.code,),
            text=f"{symbol}: {notice.text}",
            symbol=symbol,
            at_ms=self.clock.now_ms(),
        )
        await tell(self.governor, alert)

    async def _broadcast(self, row: Position) -> None:
        await tell(self.risk, row)
        await tell(self.reconciler, row)
        await tell(self.scanner, row)
        await tell(self.signal, row)

    def _answer_stop(self, desk: Desk) -> None:
        """Answer the stop once no position is bare, or when its time is up."""
        if desk.stop is None:
            return
        safe = all(case_.is_safe for case_ in desk.cases.values())
        if safe or self.clock.monotonic_ms() >= desk.stop_by_ms:
            desk.stop.reply.answer(None)


def _demand(case_: Case, command: Signal, at_ms: int) -> HealthSignal:
    return HealthSignal(
        kind=SignalKind.PROTECTION,
        level=command.level,
        reason=command.reason,
        source=case_.holding.symbol,
        value=command.value_ms,
        threshold=command.threshold_ms,
        unit="ms",
        detail=command.detail,
        at_ms=at_ms,
    )
