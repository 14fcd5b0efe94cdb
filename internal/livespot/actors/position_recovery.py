"""Rebuilds positions from the ledger and the exchange: at boot, and for a fill without a case."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

import msgspec

from livespot.actors.heart import while_beating
from livespot.actors.mail import EntryOpened, FillBooked, RecoverySummary
from livespot.actors.position_case import Case, Desk
from livespot.contracts.decision import Decision
from livespot.contracts.errors import LivespotError, NoSuchOrder, PayloadInvalid, Refused, Transient
from livespot.contracts.orders import OrderIntent, OrderView, Position
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader, StoredFill, StoredOrder
from livespot.contracts.settings import Settings
from livespot.contracts.venue import AccountReader
from livespot.contracts.vocabulary import IntentRole, IntentState, PositionPhase, Side
from livespot.rules import protection
from livespot.rules.position import BookedFill, Holding, book, opened, reopened, trail_of
from livespot.rules.protection import Flight

T = TypeVar("T")

_ENTRY_ROLES = frozenset({IntentRole.ENTRY, IntentRole.LIST})
_SALE_ROLES = frozenset({IntentRole.LIST, IntentRole.STOP, IntentRole.TRAIL, IntentRole.CLOSE})
_UNSETTLED = frozenset({IntentState.CREATED, IntentState.SENT_UNKNOWN})
_READ_ERRORS = (Transient, Refused, PayloadInvalid, TimeoutError)
_READ_TRIES = 3
# The limit of a read that can only confirm what the ledger already says.
_HURRIED_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySources:
    """Where the state of an earlier run is read from; `hurried` reads once, with a short limit.

    `beat` is called while the exchange is waited for.
    """

    ledger: LedgerReader
    reads: AccountReader
    clock: Clock
    settings: Settings
    beat: Callable[[], None]
    hurried: bool = False

    @property
    def limit_s(self) -> float:
        limit_ms = self.settings.intents.rest_query_timeout_ms
        return (min(limit_ms, _HURRIED_MS) if self.hurried else limit_ms) / 1000

    @property
    def quote_asset(self) -> str:
        return self.settings.venue.quote_asset

    async def ask(self, read: Callable[[], Awaitable[T]]) -> T:
        """What a read of the exchange returns or raises; `TimeoutError` when it takes too long."""
        with self.clock.fail_after(self.limit_s):
            return await while_beating(self.clock, self.beat, read)


async def recover(desk: Desk, sources: RecoverySources) -> RecoverySummary:
    """Load every open position and compare its orders with the exchange.

    If the exchange cannot be read, the state in the ledger is kept and counts as unresolved. If the
    ledger shows a position to be bare, the reads are hurried, so that its stop comes first.
    """
    problems = []
    rows = await sources.ledger.open_positions()
    for row in rows:
        if await _stands_bare(sources, row):
            # Its stop is requested as soon as this returns: no order of ours can be in its way.
            sources = replace(sources, hurried=True)
    for row in rows:
        known = desk.cases.get(row.symbol)
        if known is not None and known.holding.decision_id == row.decision_id:
            # A message that came before this request has opened the case already, and what it has
            # asked for since must be kept.
            continue
        case = desk.cases[row.symbol] = await _from_row(desk, sources, row)
        problem = await _verify(sources, case)
        if problem:
            problems.append(f"{row.symbol}: {problem}")
    problems.extend(await _adopt_unrecorded(desk, sources))
    if desk.cases:
        problems.extend(await _read_account(desk, sources))
    return RecoverySummary(
        resolved=len(desk.cases) - min(len(problems), len(desk.cases)),
        unresolved=len(problems),
        detail="; ".join(problems) or f"{len(desk.cases)} positions",
    )


async def _stands_bare(sources: RecoverySources, row: Position) -> bool:
    """Whether, by the ledger alone, the position has no order on the book and none in doubt.

    Attached legs are placed by the exchange, so the ledger may not know of them.
    """
    if row.phase is not PositionPhase.UNPROTECTED:
        return False
    intents = await sources.ledger.intents_of_decision(row.decision_id)
    ids = {intent.order_intent_id for intent in intents}
    standing = any(s.order_intent_id in ids for s in await sources.ledger.open_orders())
    attached = any(i.role is IntentRole.LIST and i.side is Side.BUY for i in intents)
    return not (standing or attached or any(i.state in _UNSETTLED for i in intents))


async def adopt(desk: Desk, sources: RecoverySources, message: FillBooked) -> Case | None:
    """Open a case for a fill whose entry was never announced to this process."""
    case = await _from_decision(desk, sources, message.decision_id, message.order_intent_id)
    if case is not None:
        await _verify(sources, case)
        desk.cases[message.fill.symbol] = case
    return case


async def take_over(desk: Desk, sources: RecoverySources, message: EntryOpened) -> Case:
    """The case of an entry of an earlier process, with the fills that nobody reports again."""
    decision = message.decision
    for row in await sources.ledger.open_positions():
        if row.decision_id == decision.decision_id:
            case = await _from_row(desk, sources, row)
            break
    else:
        case = await _from_ledger(desk, sources, decision, message.order_intent_id)
    await _verify(sources, case)
    return case


async def _from_row(desk: Desk, sources: RecoverySources, row: Position) -> Case:
    stored = await sources.ledger.fills_of_decision(row.decision_id)
    decision = await _decision(sources, row.decision_id)
    info = desk.infos.get(row.symbol)
    holding = reopened(
        row,
        base_asset=desk.base_asset(row.symbol, sources.quote_asset),
        constraints=(info.constraints if info is not None else None)
        or (decision.constraints if decision is not None else None),
        booked=[await _booked(sources, item) for item in stored],
        trail=trail_of(decision),
    )
    now = sources.clock.now_ms()
    bare_ms = now - row.unprotected_since_ms if row.unprotected_since_ms else 0
    return Case(holding=holding, earlier_ms=row.unprotected_ms + max(0, bare_ms), recovered=True)


async def _from_decision(
    desk: Desk, sources: RecoverySources, decision_id: str, entry_intent_id: str
) -> Case | None:
    decision = await _decision(sources, decision_id)
    if decision is None:
        return None
    return await _from_ledger(desk, sources, decision, entry_intent_id)


async def _from_ledger(
    desk: Desk, sources: RecoverySources, decision: Decision, entry_intent_id: str
) -> Case:
    """A position without a row: as decided, with the fills that were booked."""
    info = desk.infos.get(decision.symbol)
    holding = opened(
        decision,
        entry_intent_id=entry_intent_id,
        base_asset=desk.base_asset(decision.symbol, sources.quote_asset),
        constraints=info.constraints if info is not None else None,
    )
    for item in await sources.ledger.fills_of_decision(decision.decision_id):
        holding = book(holding, await _booked(sources, item))
    return Case(holding=holding, recovered=True)


async def _adopt_unrecorded(desk: Desk, sources: RecoverySources) -> list[str]:
    """Open cases for entries that reached the ledger just before their position did.

    Returns what could not be verified.
    """
    problems = []
    known = {case.holding.decision_id for case in desk.cases.values()}
    intents = list(await sources.ledger.unsettled_intents())
    for stored in await sources.ledger.open_orders():
        intent = await sources.ledger.intent(stored.order_intent_id)
        if intent is not None:
            intents.append(intent)
    for intent in intents:
        if intent.decision_id in known or intent.symbol in desk.cases:
            continue
        known.add(intent.decision_id)
        case = await _from_decision(desk, sources, intent.decision_id, intent.order_intent_id)
        if case is not None:
            problem = await _verify(sources, case)
            desk.cases[intent.symbol] = case
            if problem:
                problems.append(f"{intent.symbol}: {problem}")
    return problems


async def _verify(sources: RecoverySources, case: Case) -> str:
    """Give the case its live orders; returns what could not be verified, else an empty text."""
    holding = case.holding
    intents = {
        i.order_intent_id: i for i in await sources.ledger.intents_of_decision(holding.decision_id)
    }
    believed = [s for s in await sources.ledger.open_orders() if s.order_intent_id in intents]
    problem = ""
    try:
        found = await _open_views(sources, holding.symbol)
    except _READ_ERRORS as error:
        problem = f"open orders unread ({error})"
        for stored in believed:
            _track(case, stored.order, _stored_role(stored), stored.order_intent_id)
    else:
        for view in found:
            alias = await sources.ledger.alias(view.own_id)
            if alias is not None and alias.order_intent_id in intents:
                _track(case, view, alias.role, alias.order_intent_id)
        seen = {view.order_id for view in found}
        for stored in believed:
            if stored.order.order_id not in seen:
                problem = await _query_missing(sources, case, stored) or problem
    case.holding = _with_entry_state(case, tuple(intents.values()))
    _doubt(case, tuple(intents.values()), sources.clock)
    return problem


def _doubt(case: Case, intents: tuple[OrderIntent, ...], clock: Clock) -> None:
    """Treat an unanswered sale as possibly standing, until a read disproves it."""
    shown = {t.intent_id for t in case.guard.sells.values()}
    flights = tuple(
        Flight(
            role=intent.role,
            qty=case.holding.lot.qty,
            since_ms=clock.monotonic_ms(),
            since_wall_ms=clock.now_ms(),
            intent_id=intent.order_intent_id,
            unknown=True,
        )
        for intent in intents
        if intent.side is Side.SELL
        and intent.role in _SALE_ROLES
        and intent.state is IntentState.SENT_UNKNOWN
        and intent.order_intent_id not in shown
    )
    case.guard = replace(case.guard, flights=(*case.guard.flights, *flights))


async def _open_views(sources: RecoverySources, symbol: str) -> tuple[OrderView, ...]:
    """The open orders of one symbol, tried up to three times. Raises the last error."""
    for _ in range(0 if sources.hurried else _READ_TRIES - 1):
        try:
            return await sources.ask(lambda: sources.reads.open_orders(symbol))
        except (Transient, TimeoutError):
            await sources.clock.sleep(0.5)
    return await sources.ask(lambda: sources.reads.open_orders(symbol))


async def _query_missing(sources: RecoverySources, case: Case, stored: StoredOrder) -> str:
    """Read by id an order that we believe in and that is not among the open ones."""
    view = stored.order
    role = _stored_role(stored)
    try:
        found = await sources.ask(lambda: sources.reads.order(view.symbol, order_id=view.order_id))
    except NoSuchOrder:
        return f"order {view.order_id} is unknown to the exchange"
    except _READ_ERRORS as error:
        _track(case, view, role, stored.order_intent_id)
        return f"order {view.order_id} unread ({error})"
    _track(case, found, role, stored.order_intent_id)
    return ""


def _track(case: Case, view: OrderView, role: IntentRole, intent_id: str) -> None:
    case.guard = protection.order_seen(case.guard, view, protection.leg_role(view, role), intent_id)


def _with_entry_state(case: Case, intents: tuple[OrderIntent, ...]) -> Holding:
    """The holding with `entry_open`: a live entry order, or an entry without an answer."""
    entry = case.guard.entry
    waiting = any(
        i.role in _ENTRY_ROLES and i.side is Side.BUY and i.state in _UNSETTLED for i in intents
    )
    entry_open = waiting or (entry is not None and entry.live)
    filled = Decimal(0) if entry is None or entry_open else entry.order.executed_qty
    return replace(case.holding, entry_open=entry_open, entry_filled_qty=filled)


async def _read_account(desk: Desk, sources: RecoverySources) -> list[str]:
    try:
        desk.learn_account(await sources.ask(sources.reads.account))
    except _READ_ERRORS as error:
        return [f"account unread ({error})"]
    return []


async def _decision(sources: RecoverySources, decision_id: str) -> Decision | None:
    text = await sources.ledger.decision_json(decision_id)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Decision)
    except msgspec.ValidationError:
        # Written by another version; the position's own row still holds its exit prices.
        return None


async def _booked(sources: RecoverySources, item: StoredFill) -> BookedFill:
    fill = item.fill
    alias = await sources.ledger.alias(fill.client_order_id) if fill.client_order_id else None
    role = IntentRole.ENTRY
    if alias is not None:
        role = alias.role
    elif fill.side is Side.SELL:
        intent = await sources.ledger.intent(item.order_intent_id)
        role = intent.role if intent is not None else IntentRole.CLOSE
    return BookedFill(
        fill=fill, role=role, fee_quote=item.fee_quote, fee_unpriced=item.fee_unpriced
    )


def _stored_role(stored: StoredOrder) -> IntentRole:
    try:
        return IntentRole(stored.role)
    except ValueError as error:
        raise LivespotError(f"stored order has role {stored.role!r}") from error
