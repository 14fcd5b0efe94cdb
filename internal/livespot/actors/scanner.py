"""Chooses what to watch: universe every minute, deep scan every 15 s, all of it recorded.

Reads: exchangeInfo, the day's tickers and commissions by REST; features from market state.
Writes: reference data to everybody; attachments to the feed; the watch list to the signal actor.
Owns: the universe, the ranking, the watch list and how long each symbol has been on it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TypeVar, assert_never

import anyio
from anyio.abc import TaskStatus

from livespot.actors import scan_records
from livespot.actors.heart import while_beating
from livespot.actors.mail import (
    AttachmentWanted,
    CommissionLearned,
    FeaturesAsked,
    FiltersRefreshWanted,
    MarketStateInbox,
    Marks,
    ScannerInbox,
    SymbolsLearned,
    TickersLearned,
    WatchlistChanged,
)
from livespot.actors.wires import Sink
from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Invalid, LivespotError, Refused, Transient
from livespot.contracts.market import DeepFeatures, SymbolInfo, Ticker24h
from livespot.contracts.orders import CommissionRates, Position
from livespot.contracts.ports import Clock
from livespot.contracts.records import SymbolHealth
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, HealthSignal, ModeChanged
from livespot.contracts.venue import AccountReader, MarketReader, ServerClock
from livespot.contracts.vocabulary import PositionPhase, Severity, SignalKind, SignalLevel
from livespot.rules import halts, selection
from livespot.rules.choice import choose
from livespot.rules.discount import discount_is_usable
from livespot.rules.due import earliest
from livespot.rules.halts import Trouble
from livespot.rules.thresholds import config_hash
from livespot.runtime.cycles import CycleIds
from livespot.runtime.mailboxes import Mailbox, Reply

T = TypeVar("T")

_TICK_SECONDS = 0.5
_ASK_SECONDS = 5.0
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_INFO_EVERY_MS = 900_000
_RETRY_MS = 5000
# How long an order refused for the symbol's status counts as evidence of that status.
_REFUSED_MS = 60_000
# While a symbol is not open for trading, its rules are read this often.
_HALTED_INFO_MS = 60_000
# While a held symbol is halted nothing is tried on it, so the end must be noticed soon.
_HELD_INFO_MS = 10_000
_LINGER_MS = 300_000
_SOURCE = "scanner"
_READ_FAILED = (Transient, Refused, Invalid)


@dataclass(slots=True, kw_only=True)
class _Scan:
    """The actor's whole memory, local to one run."""

    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    listed: tuple[selection.Listed, ...] = ()
    tickers: tuple[Ticker24h, ...] = ()
    told: dict[str, tuple[ReasonCode, ...]] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()
    topn: tuple[str, ...] = ()
    watched: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    lingering: dict[str, int] = field(default_factory=dict)
    health: dict[str, SymbolHealth] = field(default_factory=dict)
    commission_due_ms: dict[str, int] = field(default_factory=dict)
    refused_until_ms: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    eyes_due_ms: dict[str, int] = field(default_factory=dict)
    fee_assets: set[str] = field(default_factory=set)
    info_due_ms: int = 0
    universe_due_ms: int = 0
    deep_due_ms: int = 0
    failing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """`account` is None without a key; the configured fees then apply.

    `held_to` receives the deep scan's features of held symbols; `fees_to` the last price of the
    assets that fees are paid in.
    """

    settings: Settings
    clock: Clock
    server_clock: ServerClock
    reader: MarketReader
    account: AccountReader | None
    audit: AuditPort
    cycles: CycleIds
    inbox: Mailbox[ScannerInbox]
    state: Mailbox[MarketStateInbox]
    feed: Sink[AttachmentWanted]
    signal: Sink[WatchlistChanged]
    infos_to: Sequence[Sink[SymbolsLearned]]
    governor: Sink[HealthSignal | Alert]
    beat: Callable[[], None]
    held_to: Sink[DeepFeatures] | None = None
    fees_to: Sink[Marks] | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Scan until cancelled."""
        scan = _Scan()
        task_status.started()
        message = self.inbox.receive_nowait()
        while True:
            self.beat()
            while message is not None:
                await self._take(scan, message)
                message = self.inbox.receive_nowait()
            await self._work(scan)
            await self._watch_halts(scan)
            left_s = (self._due_ms(scan) - self.clock.monotonic_ms()) / 1000
            message = await self.inbox.receive_within(max(_TICK_SECONDS, left_s))

    def _due_ms(self, scan: _Scan) -> int:
        """When there is work other than a message, in monotonic ms."""
        chooses = scan.tickers or scan.watched or scan.held
        return earliest(
            scan.info_due_ms,
            *((scan.universe_due_ms,) if scan.infos else ()),
            *((scan.deep_due_ms,) if chooses else ()),
            *scan.refused_until_ms.values(),
            *(scan.eyes_due_ms[s] for s, trouble in scan.troubles.items() if trouble.needs_eyes),
        )

    async def _work(self, scan: _Scan) -> None:
        """Do whatever is due; a failed read is reported and tried again soon."""
        now = self.clock.monotonic_ms()
        try:
            if now >= scan.info_due_ms:
                scan.info_due_ms = now + _RETRY_MS
                await self._learn_symbols(scan)
                scan.info_due_ms = now + _INFO_EVERY_MS
            if scan.infos and now >= scan.universe_due_ms:
                scan.universe_due_ms = now + _RETRY_MS
                await self._scan_universe(scan)
                scan.universe_due_ms = now + self.settings.timing.universe_interval_ms
                await self._read_succeeded(scan)
        except _READ_FAILED as error:
            await self._read_failed(scan, error)
        # Also with no candidates: whatever waits for cycles to pass must not wait for symbols.
        if (scan.tickers or scan.watched or scan.held) and now >= scan.deep_due_ms:
            scan.deep_due_ms = now + self.settings.timing.selection_cycle_ms
            await self._learn_commission(scan)
            if scan.universe_due_ms:
                await self._select(scan)
            else:
                # A fee asset has just been learnt: scan the universe again first.
                scan.deep_due_ms = 0

    async def _take(self, scan: _Scan, message: ScannerInbox) -> None:
        match message:
            case Position():
                if message.phase in (PositionPhase.FLAT, PositionPhase.DUST):
                    scan.held.discard(message.symbol)
                else:
                    scan.held.add(message.symbol)
            case FiltersRefreshWanted():
                if message.cause == "STATUS":
                    until_ms = self.clock.monotonic_ms() + _REFUSED_MS
                    scan.refused_until_ms[message.symbol] = until_ms
                    # Said before the read, which may take its time.
                    await self._watch_halts(scan)
                await self._refresh(scan, message)
            case SymbolHealth():
                scan.health[message.symbol] = message
            case ModeChanged():
                # Selection goes on in every mode, so that entries can resume at once.
                pass
            case _:
                assert_never(message)

    async def _read(self, call: Callable[[], Awaitable[T]]) -> T:
        """A read of the exchange, which may take several tries; the heart beats meanwhile."""
        return await while_beating(self.clock, self.beat, call)

    async def _learn_symbols(self, scan: _Scan) -> None:
        infos = await self._read(self.reader.exchange_info)
        before = scan.infos
        changed = {name: info for name, info in infos.items() if before.get(name) != info}
        self._set_listing(scan, infos)
        if changed:
            await self._tell_symbols(changed, before, "PERIODIC" if before else "BOOT")

    async def _refresh(self, scan: _Scan, wanted: FiltersRefreshWanted) -> None:
        try:
            info = await self._read(lambda: self.reader.symbol_info(wanted.symbol))
        except _READ_FAILED as error:
            await self._alert(f"cannot refresh the filters of {wanted.symbol}: {error}")
            return
        before = scan.infos
        self._set_listing(scan, before | {wanted.symbol: info})
        await self._tell_symbols({wanted.symbol: info}, before, wanted.cause)

    def _set_listing(self, scan: _Scan, infos: dict[str, SymbolInfo]) -> None:
        """Store what the exchange lists, and the part of it that is this universe."""
        scan.infos = infos
        scan.listed = selection.listing(infos, quote_asset=self.settings.venue.quote_asset)

    async def _tell_symbols(
        self, infos: dict[str, SymbolInfo], before: Mapping[str, SymbolInfo], cause: str
    ) -> None:
        at_ms = self.clock.now_ms()
        quote = self.settings.venue.quote_asset
        unknown = selection.unknown_filters(infos, before, quote_asset=quote)
        entry = scan_records.filters_entry(infos, before, unknown, cause=cause, at_ms=at_ms)
        await self.audit.record(entry)
        if unknown:
            await self._warn_of_filters(unknown)
        learned = SymbolsLearned(infos=infos, cause=cause, at_ms=at_ms)
        await self.state.send(learned)
        for sink in self.infos_to:
            await sink.send(learned)

    async def _scan_universe(self, scan: _Scan) -> None:
        scan.tickers = await self._read(self.reader.tickers_24h)
        now_ms = self.clock.now_ms()
        await self.state.send(TickersLearned(tickers=scan.tickers, at_ms=now_ms))
        await self._tell_fee_prices(scan, now_ms)
        exchange_ms = self.server_clock.steady_now_ms()
        health = scan.health.values()
        quarantined = {row.symbol for row in health if row.quarantined_until_ms > exchange_ms}
        listed = selection.universe(
            scan.listed,
            scan.tickers,
            quarantined,
            self.settings.selection,
            fee_assets=scan.fee_assets,
        )
        ranked = selection.rank(listed, self.settings.selection)
        changed = [e for e in listed if scan.told.get(e.symbol) != e.reasons]
        told, scan.told = scan.told, {e.symbol: e.reasons for e in listed}
        changed += selection.delisted(told.keys() - scan.told.keys())
        cut = frozenset(item.symbol for item in ranked if item.dropped)
        cycle_id = self.cycles.next()
        await self.audit.record(
            scan_records.universe_entry(listed, changed, cycle_id, now_ms),
            scan_records.ranking_entry(
                ranked,
                "TOPN",
                cycle_id,
                config_hash(self.settings),
                now_ms,
                newly_cut=cut - scan.cut,
            ),
        )
        scan.cut = cut
        scan.topn = selection.wanted(ranked, self.settings.selection)
        await self._attach(scan)

    async def _tell_fee_prices(self, scan: _Scan, at_ms: int) -> None:
        """Send the last price of fee assets, which are not traded and have no book here."""
        pairs = {asset + self.settings.venue.quote_asset for asset in scan.fee_assets}
        last = {t.symbol: t.last_price for t in scan.tickers if t.symbol in pairs} if pairs else {}
        known = {symbol: price for symbol, price in last.items() if price > 0}
        if known and self.fees_to is not None:
            await self.fees_to.send(Marks(bids=known, asks={}, at_ms=at_ms))

    async def _select(self, scan: _Scan) -> None:
        """One selection cycle: deep scan of what is attached, then the watch list."""
        symbols = tuple(dict.fromkeys((*scan.topn, *sorted(scan.held))))
        features = await self._features(symbols)
        if features is None:
            await self._alert("market state did not answer the deep scan in time")
            return
        for mine in (f for f in features if f.symbol in scan.held):
            if self.held_to is not None:
                await self.held_to.send(mine)
        ranked = selection.deep_scan(features, self.settings.selection)
        returns = {f.symbol: f.returns for f in features if f.returns is not None}
        choices = choose(ranked, returns, scan.watched, scan.held, self.settings.selection)
        chosen = [choice.symbol for choice in choices if choice.chosen]
        cycle_id, now_ms = self.cycles.next(), self.clock.now_ms()
        digest = config_hash(self.settings)
        await self.audit.record(
            scan_records.ranking_entry(ranked, "DEEP", cycle_id, digest, now_ms),
            scan_records.selection_entry(choices, cycle_id, digest, now_ms, returns),
        )
        scan.watched = {symbol: scan.watched.get(symbol, 0) + 1 for symbol in chosen}
        await self._attach(scan)
        await self.signal.send(WatchlistChanged(symbols=tuple(chosen), cycle_id=cycle_id))

    async def _attach(self, scan: _Scan) -> None:
        """Repeated every cycle, so that a restarted feed streams what is wanted.

        A symbol that left the ranking is streamed a little longer; at the edge of eligibility it
        would otherwise never get warm.
        """
        watched = tuple(scan.watched)
        now = self.clock.monotonic_ms()
        wanted = dict.fromkeys((*scan.topn, *sorted(scan.held), *watched))
        scan.lingering.update(dict.fromkeys(wanted, now + _LINGER_MS))
        scan.lingering = {s: until for s, until in scan.lingering.items() if now < until}
        symbols = dict.fromkeys((*wanted, *scan.lingering))
        await self.feed.send(
            AttachmentWanted(symbols=tuple(symbols), watched=watched, held=tuple(sorted(scan.held)))
        )

    async def _features(self, symbols: tuple[str, ...]) -> tuple[DeepFeatures, ...] | None:
        reply: Reply[tuple[DeepFeatures, ...]] = Reply()
        with self.clock.move_on_after(_ASK_SECONDS):
            await self.state.send(FeaturesAsked(symbols=symbols, reply=reply))
            return await reply.wait()
        return None

    async def _watch_halts(self, scan: _Scan) -> None:
        """Signal symbols that cannot be traded, and alert the operator of held ones every hour."""
        now = self.clock.monotonic_ms()
        refused = {s: until for s, until in scan.refused_until_ms.items() if now < until}
        scan.refused_until_ms = refused
        found = halts.troubles(scan.infos, scan.held, refused.keys())
        for source in scan.troubles.keys() - found.keys():
            await self.governor.send(self._halt(source, None))
            scan.eyes_due_ms.pop(source, None)
        for source, trouble in found.items():
            if scan.troubles.get(source) != trouble:
                await self.governor.send(self._halt(source, trouble))
            if trouble.needs_eyes and now >= scan.eyes_due_ms.get(source, 0):
                scan.eyes_due_ms[source] = now + _HOUR_MS
                await self.governor.send(self._eyes(source, trouble))
        scan.troubles = found
        if found:
            wait_ms = (
                _HELD_INFO_MS if any(t.needs_eyes for t in found.values()) else _HALTED_INFO_MS
            )
            scan.info_due_ms = min(scan.info_due_ms, now + wait_ms)

    def _halt(self, source: str, trouble: Trouble | None) -> HealthSignal:
        return HealthSignal(
            kind=SignalKind.EXCHANGE,
            level=SignalLevel.CLEAR if trouble is None else trouble.level,
            reason=ReasonCode.EXCHANGE_HALTED if trouble is None else trouble.reason,
            source=source,
            detail="" if trouble is None else trouble.detail,
            at_ms=self.clock.now_ms(),
        )

    def _eyes(self, symbol: str, trouble: Trouble) -> Alert:
        pausing = trouble.level is SignalLevel.PAUSE
        return Alert(
            severity=Severity.CRIT if pausing else Severity.WARN,
            code=ReasonCode.PAUSE_NEEDS_MANUAL if pausing else ReasonCode.SYMBOL_NOT_TRADING,
            reasons=(trouble.reason,),
            text=trouble.detail,
            symbol=symbol,
            at_ms=self.clock.now_ms(),
        )

    async def _learn_commission(self, scan: _Scan) -> None:
        """Read the commission of every attached symbol, when it is attached and daily."""
        if self.account is None:
            return
        now = self.clock.monotonic_ms()
        due = [s for s in scan.topn if now >= scan.commission_due_ms.get(s, 0)]
        if not due:
            return
        try:
            balances = await self._read(self.account.account)
            for symbol in due:
                scan.commission_due_ms[symbol] = now + _RETRY_MS
                rates = await self._read(partial(self.account.commission, symbol))
                usable = discount_is_usable(
                    rates,
                    balances.free(rates.discount_asset),
                    self._price_of(scan, rates),
                    self.settings.risk.max_exposure_symbol,
                )
                await self.state.send(CommissionLearned(rates=rates, discount_usable=usable))
                if rates.discount_enabled and rates.discount_asset not in scan.fee_assets:
                    scan.fee_assets.add(rates.discount_asset)
                    scan.universe_due_ms = 0
                scan.commission_due_ms[symbol] = now + _DAY_MS
        except _READ_FAILED as error:
            await self._alert(f"cannot read commissions: {error}")

    def _price_of(self, scan: _Scan, rates: CommissionRates) -> Decimal | None:
        pair = rates.discount_asset + self.settings.venue.quote_asset
        return next((t.last_price for t in scan.tickers if t.symbol == pair), None)

    async def _read_failed(self, scan: _Scan, error: LivespotError) -> None:
        """An outdated universe degrades the mode: no new entries until it can be read again."""
        scan.failing = True
        await self.governor.send(self._signal(SignalLevel.DEGRADE, str(error)[:200]))

    async def _read_succeeded(self, scan: _Scan) -> None:
        if not scan.tickers:
            await self._read_failed(scan, Invalid("the exchange listed no tickers"))
        elif scan.failing:
            scan.failing = False
            await self.governor.send(self._signal(SignalLevel.CLEAR, ""))

    def _signal(self, level: SignalLevel, detail: str) -> HealthSignal:
        return HealthSignal(
            kind=SignalKind.REST_STALE,
            level=level,
            reason=ReasonCode.REST_STALE_DEGRADE,
            source=_SOURCE,
            detail=detail,
            at_ms=self.clock.now_ms(),
        )

    async def _warn_of_filters(self, unknown: Mapping[str, Sequence[str]]) -> None:
        names = ", ".join(sorted({name for names in unknown.values() for name in names}))
        symbols = ", ".join(sorted(unknown)[:10])
        text = f"{len(unknown)} symbols show filters that are not known here: {names} ({symbols})"
        await self._warn(ReasonCode.FILTERS_DRIFT_DETECTED, (), text)

    async def _alert(self, text: str) -> None:
        code = ReasonCode.REST_STALE_DEGRADE
        await self._warn(code, (code,), text)

    async def _warn(self, code: ReasonCode, reasons: tuple[ReasonCode, ...], text: str) -> None:
        await self.governor.send(
            Alert(
                severity=Severity.WARN,
                code=code,
                reasons=reasons,
                text=text[:400],
                at_ms=self.clock.now_ms(),
            )
        )
