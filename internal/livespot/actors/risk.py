"""Has the final word on every entry and owns what an entry may spend.

Reads: prechecks, proposals, rechecks, entries, fills, positions, faults, releases, marks, balances,
modes.
Writes: `ApprovedEntry` to execution, `ProposalEnded` to signal, alerts and signals to the governor;
RISK_VERDICT events with verdicts, counters, reserves and quarantines, durable before any answer.
Owns: counters, reserves, quarantine.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

import anyio
import msgspec
from anyio.abc import TaskStatus

from livespot.actors import symbol_faults
from livespot.actors.mail import (
    AccountObserved,
    ApprovedEntry,
    EntryEnded,
    EntryOpened,
    ExecutionInbox,
    FeaturesAsked,
    FillBooked,
    GatedProposal,
    GovernorInbox,
    LatencySeen,
    Marks,
    MutationCounted,
    PrecheckAsked,
    PricesInsane,
    ProposalEnded,
    RecheckAsked,
    RejectSeen,
    RiskInbox,
    SignalInbox,
    StreamDropped,
    SubmitAnswered,
    SubmitTimedOut,
    SymbolsLearned,
)
from livespot.actors.manual_exposures import obey_exposure
from livespot.actors.operator_records import command_entry
from livespot.actors.risk_assessing import Assessor
from livespot.actors.risk_memory import (
    KILL_SWITCHES,
    Judged,
    RiskMemory,
    fee_of,
    fired_text,
    is_over,
    memory_entry,
    notional_of,
    rechecked_snapshot,
    reserve_anew,
    restored,
    unfilled_signal,
    verdict_entry,
)
from livespot.actors.symbol_faults import FaultSeen
from livespot.actors.wires import Sink
from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import BalancesChanged, Position
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader
from livespot.contracts.records import Record, SymbolHealth
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, ExposureWanted, ModeChanged, ReleaseWanted
from livespot.contracts.venue import OrderCounts, ServerClock
from livespot.contracts.vocabulary import PositionPhase, Severity, Side, Stage, Verdict
from livespot.rules import quarantine, reserves, risk_counters
from livespot.rules.foregone import is_foregone
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.reserves import Reserve
from livespot.runtime.mailboxes import Mailbox

_SAVE_INTERVAL_MS = 5000
_VERIFY_INTERVAL_MS = 60_000
_TELL_SECONDS = 1.0
_ENDED = frozenset({PositionPhase.FLAT, PositionPhase.DUST})


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskOfficer:
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    ledger: LedgerReader
    counts: OrderCounts
    inbox: Mailbox[RiskInbox]
    execution: Mailbox[ExecutionInbox]
    signal: Mailbox[SignalInbox]
    governor: Mailbox[GovernorInbox]
    market: Sink[FeaturesAsked]
    health_to: Sequence[Sink[SymbolHealth]] = ()
    order_cap: Decimal | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Restore the last run's memory, then serve until the inbox closes."""
        exchange_ms = self.server_clock.certain_now_ms()
        memory = await restored(self.ledger, self.settings, exchange_ms)
        await self._verify_reserves(memory, at_boot=True)
        now_ms = self.clock.now_ms()
        await self._save(memory, "RESTORED", [r.row(now_ms) for r in memory.book.values()])
        self._share([quarantine.row(faults, now_ms) for faults in memory.faults.values()])
        task_status.started()
        async for message in self.inbox:
            await self._sweep(memory)
            await self._take(memory, message)
        await self._save(memory, "STOPPED")

    async def _take(self, memory: RiskMemory, message: RiskInbox) -> None:
        match message:
            case PrecheckAsked() | GatedProposal() | RecheckAsked():
                await self._take_entry(memory, message)
            case EntryOpened() | EntryEnded() | FillBooked() | Position():
                await self._take_progress(memory, message)
            case (
                RejectSeen()
                | SubmitTimedOut()
                | SubmitAnswered()
                | StreamDropped()
                | PricesInsane()
            ):
                await self._take_fault(memory, message)
            case SymbolsLearned():
                await self._learn_symbols(memory, message)
            case ReleaseWanted():
                await self._release(memory, message)
            case ExposureWanted():
                told = await obey_exposure(message, memory.exposures, self.audit, self.clock)
                await self.governor.send(told)
            case MutationCounted():
                await self._count_mutation(memory, message)
            case Marks() | AccountObserved() | BalancesChanged() | LatencySeen() | ModeChanged():
                await self._take_reading(memory, message)
            case _:
                assert_never(message)

    # ---- verdicts

    async def _take_entry(
        self, memory: RiskMemory, message: PrecheckAsked | GatedProposal | RecheckAsked
    ) -> None:
        match message:
            case PrecheckAsked():
                await self._precheck(memory, message)
            case GatedProposal():
                await self._judge(memory, message)
            case RecheckAsked():
                await self._recheck(memory, message)
            case _:
                assert_never(message)

    async def _judge(self, memory: RiskMemory, proposal: GatedProposal) -> None:
        decision = proposal.decision
        judged = await self._assessor.assess(memory, decision, proposal.snapshot)
        verdict = judged.verdict
        if verdict.verdict is Verdict.BLOCK:
            await self._refuse(memory, judged)
            await self.signal.send(
                ProposalEnded(
                    # Signal knows the proposal under the id it had before the gate shrank it.
                    decision_id=proposal.gate.original_decision_id or decision.decision_id,
                    symbol=decision.symbol,
                    reasons=verdict.reasons,
                )
            )
            return
        now_ms = self.clock.now_ms()
        reserve = reserves.reserved(
            decision.decision_id,
            decision.symbol,
            notional_of(decision, verdict.approved_qty),
            expires_at_ms=now_ms + self.settings.timing.decision_max_age_ms,
        )
        await self.audit.commit(verdict_entry(judged, memory, now_ms, (reserve.row(now_ms),)))
        memory.book = reserves.with_reserve(memory.book, reserve)
        await self.execution.send(
            ApprovedEntry(
                decision=msgspec.structs.replace(
                    decision, risk_verdict=verdict, stage=Stage.RISK_VERDICT
                ),
                snapshot=proposal.snapshot,
                approved_at_ms=now_ms,
            )
        )

    async def _precheck(self, memory: RiskMemory, asked: PrecheckAsked) -> None:
        """Refuse what no answer of the gate could save; the rest is judged after the gate."""
        judged = await self._assessor.assess(
            memory, asked.decision, asked.snapshot, before_gate=True
        )
        if is_foregone(judged.verdict):
            await self._refuse(memory, judged)
            asked.reply.answer(judged.verdict.reasons)
        else:
            asked.reply.answer(())

    async def _refuse(self, memory: RiskMemory, judged: Judged) -> None:
        await self.audit.commit(verdict_entry(judged, memory, self.clock.now_ms(), ()))
        await self._fire(memory, [c for c in judged.verdict.reasons if c in KILL_SWITCHES])

    async def _recheck(self, memory: RiskMemory, asked: RecheckAsked) -> None:
        decision = asked.decision
        judged = await self._assessor.assess(memory, decision, asked.snapshot, recheck=True)
        verdict = judged.verdict
        now_ms = self.clock.now_ms()
        reserve = reserves.of_symbol(memory.book, decision.symbol)
        records: tuple[Record, ...] = (rechecked_snapshot(judged, now_ms),)
        if verdict.verdict is Verdict.ALLOW:
            amount = notional_of(decision, verdict.approved_qty)
            reserve = (
                reserves.resized(reserve, amount)
                if reserve is not None
                else reserves.bound(
                    reserves.reserved(
                        decision.decision_id, decision.symbol, amount, expires_at_ms=now_ms
                    ),
                    "",
                )
            )
            records = (*records, reserve.row(now_ms))
        await self.audit.commit(verdict_entry(judged, memory, now_ms, records))
        if reserve is not None and verdict.verdict is Verdict.ALLOW:
            memory.book = reserves.with_reserve(memory.book, reserve)
        asked.reply.answer(verdict)

    @property
    def _assessor(self) -> Assessor:
        return Assessor(
            settings=self.settings,
            clock=self.clock,
            server_clock=self.server_clock,
            counts=self.counts,
            market=self.market,
            order_cap=self.order_cap,
        )

    # ---- entries, fills, positions

    async def _take_progress(
        self, memory: RiskMemory, message: EntryOpened | EntryEnded | FillBooked | Position
    ) -> None:
        match message:
            case EntryOpened():
                reserve = memory.book.get(message.decision.decision_id) or reserve_anew(message)
                await self._keep(memory, reserves.bound(reserve, message.order_intent_id), "BOUND")
            case EntryEnded():
                held = memory.book.get(message.decision_id)
                if held is not None:
                    over = reserves.entry_over(held, message.filled_quote)
                    await self._keep(memory, over, "ENTRY_ENDED")
            case FillBooked():
                await self._book_fill(memory, message)
            case Position():
                held_lot = memory.counters.of(message.symbol).held
                mine = held_lot is not None and held_lot.decision_id == message.decision_id
                if message.phase in _ENDED and (mine or message.realised_quote):
                    memory.counters = risk_counters.exited(
                        memory.counters,
                        message.symbol,
                        message.decision_id,
                        message.realised_quote,
                        now_ms=self.server_clock.steady_now_ms(),
                        settings=self.settings.risk,
                    )
                    await self._save(memory, "POSITION_ENDED")
            case _:
                assert_never(message)

    async def _book_fill(self, memory: RiskMemory, booked: FillBooked) -> None:
        fill = booked.fill
        if fill.trade_id in memory.counters.of(fill.symbol).trade_ids:
            return
        memory.counters = risk_counters.filled(
            memory.counters,
            fill,
            fee_of(
                fill,
                self.settings.venue.quote_asset,
                booked.fee_quote,
                fee_unpriced=booked.fee_unpriced,
            ),
            decision_id=booked.decision_id,
            role=booked.role,
            settings=self.settings.risk,
        )
        records: list[Record] = []
        if fill.side is Side.BUY:
            quote = fill.price * fill.qty
            memory.cash = reserves.cash_spent(memory.cash, quote, fill.exchange_time_ms)
            reserve = memory.book.get(booked.decision_id)
            if reserve is not None:
                reserve = reserves.converted(reserve, quote)
                memory.book = reserves.with_reserve(memory.book, reserve)
                records.append(reserve.row(self.clock.now_ms()))
        await self._save(memory, "FILL", records)
        await self._mark(memory)

    async def _keep(self, memory: RiskMemory, reserve: Reserve, cause: str) -> None:
        memory.book = reserves.with_reserve(memory.book, reserve)
        await self._save(memory, cause, (reserve.row(self.clock.now_ms()),))

    # ---- faults and churn

    async def _take_fault(self, memory: RiskMemory, message: FaultSeen) -> None:
        rules, now_ms = self.settings.quarantine, self.server_clock.steady_now_ms()
        changed = [
            symbol_faults.counted(memory.faults_of(symbol), message, now_ms, rules)
            for symbol in symbol_faults.symbols_of(message)
        ]
        await self._keep_faults(memory, changed, symbol_faults.cause_of(message))

    async def _learn_symbols(self, memory: RiskMemory, message: SymbolsLearned) -> None:
        """Symbols that turned bad since they were last seen are set aside with their cause."""
        now_ms, rules = self.server_clock.steady_now_ms(), self.settings.quarantine
        found = [
            quarantine.quarantined(memory.faults_of(symbol), cause, now_ms, rules)
            for symbol, info in message.infos.items()
            if (cause := symbol_faults.turned_bad(memory.infos.get(symbol), info))
        ]
        memory.infos.update(message.infos)
        await self._keep_faults(memory, found, "SYMBOLS_LEARNED")

    async def _keep_faults(
        self, memory: RiskMemory, changed: Iterable[SymbolFaults], cause: str
    ) -> None:
        """Persist what differs; tell the operator of each symbol that is newly set aside."""
        now_ms, exchange_ms = self.clock.now_ms(), self.server_clock.steady_now_ms()
        new = [faults for faults in changed if faults != memory.faults_of(faults.symbol)]
        if not new:
            return
        fresh = [
            faults
            for faults in new
            if quarantine.is_quarantined(faults, exchange_ms)
            and not quarantine.is_quarantined(memory.faults_of(faults.symbol), exchange_ms)
        ]
        memory.faults.update({faults.symbol: faults for faults in new})
        rows = [quarantine.row(faults, now_ms) for faults in new]
        await self._save(memory, cause, rows)
        self._share(rows)
        for faults in fresh:
            await self._alert(
                Severity.WARN,
                ReasonCode.SYMBOL_QUARANTINED,
                f"{faults.symbol} takes no entries: {faults.cause}",
                symbol=faults.symbol,
            )

    async def _release(self, memory: RiskMemory, wanted: ReleaseWanted) -> None:
        """Take a symbol back for the operator; what changes and the answer are durable together."""
        command, now_ms = wanted.command, self.clock.now_ms()
        before, exchange_ms = memory.faults_of(command.symbol), self.server_clock.steady_now_ms()
        after, outcome = symbol_faults.released_by(command, before, exchange_ms)
        entry = command_entry(command, outcome, stage=Stage.RISK_VERDICT, now_ms=now_ms)
        severity = Severity.INFO if after != before else Severity.WARN
        if after != before:
            row = quarantine.row(after, now_ms)
            await self.audit.commit(memory_entry(memory, now_ms, "RELEASED", (row,)), entry)
            memory.faults[after.symbol] = after
            for sink in self.health_to:
                # Unlike an end by time, nobody would find this one out by the clock.
                with self.clock.move_on_after(_TELL_SECONDS):
                    await sink.send(row)
        else:
            await self.audit.commit(entry)
        code = ReasonCode.OPERATOR_RELEASE
        await self._alert(severity, code, outcome, symbol=command.symbol)

    def _share(self, rows: Iterable[SymbolHealth]) -> None:
        """Let selection leave out what is set aside; risk refuses it with or without that."""
        for row in rows:
            for sink in self.health_to:
                sink.offer(row)

    async def _count_mutation(self, memory: RiskMemory, message: MutationCounted) -> None:
        before = memory.counters.of(message.symbol).churn_until_ms
        memory.counters = risk_counters.mutated(
            memory.counters, message.symbol, message.action, message.at_ms, self.settings.churn
        )
        memory.dirty = True
        mine = memory.counters.of(message.symbol)
        if mine.churn_until_ms != before:
            await self._save(memory, "CHURN")
            for code in mine.churn_reasons:
                text = f"{message.symbol} takes no entries for a while: {code}"
                await self._alert(Severity.WARN, code, text, symbol=message.symbol)
        await self._watch_unfilled(memory)

    async def _watch_unfilled(self, memory: RiskMemory) -> None:
        """The exchange's own count of unfilled orders degrades the runtime before it bites."""
        percent, limit = self.counts.unfilled_orders_pct, self.settings.churn.unfilled_warning_pct
        degraded = percent >= limit
        if degraded == memory.unfilled_degraded:
            return
        memory.unfilled_degraded = degraded
        await self.governor.send(unfilled_signal(percent, limit, self.clock.now_ms()))

    # ---- readings

    async def _take_reading(
        self,
        memory: RiskMemory,
        message: Marks | AccountObserved | BalancesChanged | LatencySeen | ModeChanged,
    ) -> None:
        quote, before = self.settings.venue.quote_asset, memory.cash.free
        match message:
            case Marks():
                memory.bids.update(message.bids)
                await self._mark(memory)
                await self._watch_unfilled(memory)
            case AccountObserved():
                account = message.account
                # A read may lag, but not for ever: after that long it shows every earlier fill.
                received_ms = account.local_received_ms + message.offset_ms
                settled_ms = received_ms - self.settings.timing.read_lag_ms
                memory.cash = reserves.cash_seen(
                    memory.cash, account.free(quote), max(account.update_time_ms, settled_ms)
                )
                await self._verify_reserves(memory)
            case BalancesChanged():
                for balance in message.balances:
                    if balance.asset == quote:
                        memory.cash = reserves.cash_seen(
                            memory.cash, balance.free, message.exchange_time_ms
                        )
            case LatencySeen():
                memory.latency_p90_ms = message.p90_ms
            case ModeChanged():
                memory.mode = message.mode
            case _:
                assert_never(message)
        # What is free belongs in the record too, in time and not with every view of it.
        memory.dirty = memory.dirty or memory.cash.free != before

    async def _mark(self, memory: RiskMemory) -> None:
        before = memory.counters
        memory.counters, fired = risk_counters.marked(before, memory.bids, self.settings.risk)
        # A new valuation alone is not worth a commit; it goes along with the next one.
        memory.dirty = memory.dirty or memory.counters.peak_equity != before.peak_equity
        await self._announce(memory, fired)

    async def _fire(self, memory: RiskMemory, codes: list[ReasonCode]) -> None:
        memory.counters, fired = risk_counters.fire(memory.counters, codes)
        await self._announce(memory, fired)

    async def _announce(self, memory: RiskMemory, fired: Iterable[ReasonCode]) -> None:
        codes = tuple(fired)
        if codes:
            await self._save(memory, "KILL_SWITCH")
        for code in codes:
            await self._alert(Severity.CRIT, code, fired_text(code, memory))

    # ---- housekeeping

    async def _sweep(self, memory: RiskMemory) -> None:
        """Before each message: a new day, lapsed reserves, ended quarantines, unsaved counters."""
        exchange_ms = self.server_clock.certain_now_ms()
        memory.begin_day(exchange_ms)
        for reserve in reserves.lapsed(memory.book, self.clock.now_ms()):
            await self._keep(memory, reserves.ended(reserve), "LAPSED")
        # While the time is in doubt nothing ends by it.
        over = [f for f in memory.faults.values() if quarantine.expired(f, exchange_ms or 0)]
        await self._keep_faults(memory, [quarantine.released(f) for f in over], "RELEASED")
        if memory.dirty and self.clock.monotonic_ms() - memory.saved_at_ms >= _SAVE_INTERVAL_MS:
            await self._save(memory, "COUNTERS")

    async def _verify_reserves(self, memory: RiskMemory, *, at_boot: bool = False) -> None:
        """Release what the ledger shows to be over: at boot at once, later when seen twice.

        Twice, because the end of an entry may still be on its way to this mailbox.
        """
        now_ms = self.clock.monotonic_ms()
        if not at_boot and now_ms - memory.verified_at_ms < _VERIFY_INTERVAL_MS:
            return
        memory.verified_at_ms = now_ms
        over = [r for r in memory.book.values() if await is_over(r, self.ledger)]
        for reserve in over:
            if at_boot or reserve.decision_id in memory.suspects:
                await self._keep(memory, reserves.ended(reserve), "OVER_BY_LEDGER")
        memory.suspects = frozenset(r.decision_id for r in over)

    async def _save(self, memory: RiskMemory, cause: str, records: Iterable[Record] = ()) -> None:
        await self.audit.commit(memory_entry(memory, self.clock.now_ms(), cause, records))
        memory.dirty, memory.saved_at_ms = False, self.clock.monotonic_ms()

    async def _alert(
        self, severity: Severity, code: ReasonCode, text: str, *, symbol: str = ""
    ) -> None:
        now = self.clock.now_ms()
        await self.governor.send(
            Alert(severity=severity, code=code, reasons=(), text=text, symbol=symbol, at_ms=now)
        )
