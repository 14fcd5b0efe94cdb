"""Finds out what became of an unanswered request, by reading, never by sending it again.

*Reads* orders, lists and trades of the account and the engine's progress on the market. *Owns* the
open cases. Its reads run beside the execution actor, which applies what they bring.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from livespot.actors.execution_ports import ExecutionPorts
from livespot.contracts.amounts import ZERO
from livespot.contracts.errors import (
    NoSuchOrder,
    OutcomeUnknown,
    PayloadInvalid,
    Refused,
    Transient,
)
from livespot.contracts.orders import Alias, Fill, ListView, OrderIntent, OrderUpdate, OrderView
from livespot.contracts.vocabulary import IntentRole, Interval, OrderStatus
from livespot.rules.due import NEVER, earliest
from livespot.rules.evidence import (
    Case,
    Endpoint,
    Negative,
    Probe,
    absence_proven,
    behind_fence,
    engine_horizon_ms,
    fence_ms,
    is_protective,
    latest_signature_ms,
    next_probes,
    steady_fence_ms,
)
from livespot.rules.requests import first_qty, request_of

# A full page may have cut off the very order that is searched for.
FULL_PAGE = 500
# Our estimate of the server clock may be a little off; the search starts further back.
_LOOK_BACK_MS = 5000
TOLD_PAUSE = "pause"
_ROUND_PAUSES_MS = (1000, 2000, 5000)
_UNDER_ITS_OWN_ID = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED})
_UNREADABLE = (Transient, Refused, PayloadInvalid, OutcomeUnknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The result of one round. Probes that failed or timed out are in none of the lists."""

    intent_id: str
    updates: tuple[OrderUpdate, ...] = ()
    lists: tuple[ListView, ...] = ()
    negatives: tuple[Negative, ...] = ()
    engine_time_ms: int = 0


@dataclass(slots=True)
class _OpenCase:
    case: Case
    intent: OrderIntent
    opened_ms: int
    due_ms: int
    reading: bool = False
    told: set[str] = field(default_factory=set)


class Resolver:
    """One case per intent of unknown outcome; a cancel's case is read once its fence has passed."""

    def __init__(self, ports: ExecutionPorts, is_known: Callable[[str, int], bool]) -> None:
        self._ports = ports
        self._is_known = is_known
        self._open: dict[str, _OpenCase] = {}

    def open(self, intent: OrderIntent, aliases: Iterable[Alias]) -> None:
        """Open a case, or add ids to it: an order may show the id of a cancel aimed at it."""
        orders = tuple(a.client_order_id for a in aliases if a.role is not IntentRole.LIST)
        lists = [a.client_order_id for a in aliases if a.role is IntentRole.LIST]
        known = self._open.get(intent.order_intent_id)
        if known is not None:
            known.case = replace(known.case, order_ids=orders)
            return
        now = self._ports.clock.monotonic_ms()
        self._open[intent.order_intent_id] = _OpenCase(
            case=Case(
                intent_id=intent.order_intent_id,
                symbol=intent.symbol,
                order_ids=orders,
                list_id=lists[0] if lists else "",
                side=intent.side,
                qty=first_qty(request_of(intent.payload)),
                signed_ms=latest_signature_ms(intent.sent_at_ms, self._ports.settings.timing),
                recv_window_ms=intent.recv_window_ms,
                steady_fence_ms=self._steady_fence(intent),
            ),
            intent=intent,
            opened_ms=now,
            due_ms=now,
        )

    def open_cancel(self, cancel: OrderIntent, order_id: int) -> None:
        """Open a case about a cancel of this order.

        The end of the order would settle it at once, and that is watched already; so the reads of
        the case begin when they can prove the cancel absent.
        """
        if cancel.order_intent_id in self._open:
            return
        case = Case(
            intent_id=cancel.order_intent_id,
            symbol=cancel.symbol,
            order_ids=(),
            list_id="",
            side=cancel.side,
            qty=ZERO,
            signed_ms=latest_signature_ms(cancel.sent_at_ms, self._ports.settings.timing),
            recv_window_ms=cancel.recv_window_ms,
            steady_fence_ms=self._steady_fence(cancel),
            target_order_id=order_id,
        )
        now = self._ports.clock.monotonic_ms()
        fence = fence_ms(case, self._ports.settings.timing)
        wait_ms = max(0, fence - self._ports.server_clock.server_now_ms())
        due_ms = max(now + wait_ms, case.steady_fence_ms)
        self._open[case.intent_id] = _OpenCase(
            case=case, intent=cancel, opened_ms=now, due_ms=due_ms
        )

    def close(self, intent_id: str) -> bool:
        """Drop the case of a settled intent; returns whether there was one."""
        return self._open.pop(intent_id, None) is not None

    def cases(self) -> list[OrderIntent]:
        return [entry.intent for entry in self._open.values()]

    def rounds(self, intent_id: str) -> int:
        entry = self._open.get(intent_id)
        return entry.case.rounds if entry is not None else 0

    def age_ms(self, intent_id: str) -> int:
        entry = self._open[intent_id]
        return self._ports.clock.monotonic_ms() - entry.opened_ms

    def tell_once(self, intent_id: str, what: str) -> bool:
        """True the first time it is called with `what` for this case."""
        told = self._open[intent_id].told
        if what in told:
            return False
        told.add(what)
        return True

    def due_ms(self, watch_ms: int) -> int:
        """When the next round starts, or a protection has been unanswered for `watch_ms`."""
        if not self._open:
            return NEVER
        watched = (
            entry.opened_ms + watch_ms
            for entry in self._open.values()
            if is_protective(entry.intent.role) and TOLD_PAUSE not in entry.told
        )
        rounds = (entry.due_ms for entry in self._open.values() if not entry.reading)
        return earliest(*watched, *rounds)

    def due(self) -> list[Case]:
        """Cases whose next round should start now; each is marked as being read."""
        now = self._ports.clock.monotonic_ms()
        ready = [e for e in self._open.values() if not e.reading and now >= e.due_ms]
        for entry in ready:
            entry.reading = True
        return [entry.case for entry in ready]

    def claim(self, intent_id: str) -> Case | None:
        """The case for an immediate round; None if it is settled, being read, or not due yet."""
        entry = self._open.get(intent_id)
        if entry is None or entry.reading:
            return None
        if entry.case.target_order_id and self._ports.clock.monotonic_ms() < entry.due_ms:
            return None
        entry.reading = True
        return entry.case

    def note(self, findings: Findings, *, engine_ms: int) -> bool:
        """Add the findings of a round; True when absence is now proven."""
        entry = self._open.get(findings.intent_id)
        if entry is None:
            return False
        case, timing = entry.case, self._ports.settings.timing
        pause = _ROUND_PAUSES_MS[min(case.rounds, len(_ROUND_PAUSES_MS) - 1)]
        entry.reading = False
        entry.due_ms = self._ports.clock.monotonic_ms() + pause
        entry.case = replace(
            case,
            rounds=case.rounds + 1,
            # Reads before the fence never count, so they are not kept.
            negatives=(*behind_fence(case, timing), *findings.negatives),
            engine_time_ms=max(case.engine_time_ms, findings.engine_time_ms, engine_ms),
        )
        if findings.updates or findings.lists:
            return False
        return absence_proven(
            entry.case, timing, now_server_ms=self._ports.server_clock.server_now_ms()
        )

    def _steady_fence(self, intent: OrderIntent) -> int:
        clock = self._ports.clock
        return steady_fence_ms(
            clock.monotonic_ms(),
            # The row was last changed when the request was about to be sent.
            sent_ago_ms=clock.now_ms() - intent.updated_at_ms,
            recv_window_ms=intent.recv_window_ms,
            timing=self._ports.settings.timing,
        )

    # ---- reading, in a job of its own

    async def investigate(self, case: Case) -> Findings:
        """One round: up to `max_rest_queries` reads, each with its own time limit."""
        settings = self._ports.settings
        limit = settings.intents.max_rest_queries
        engine_ms = 0
        horizon = engine_horizon_ms(case, settings.timing)
        if case.engine_time_ms <= horizon < self._ports.server_clock.server_now_ms():
            engine_ms = await self._engine_progress(case, horizon)
            limit = max(1, limit - 1)
        findings = Findings(intent_id=case.intent_id, engine_time_ms=engine_ms)
        for probe in next_probes(case, settings.timing, limit=limit):
            findings = await self._probe(case, probe, findings)
        return findings

    async def _probe(self, case: Case, probe: Probe, so_far: Findings) -> Findings:
        server_clock = self._ports.server_clock
        denied = Negative(
            probe=probe,
            # Without a measurement it may be as wrong as our own clock: then the read never counts.
            at_ms=server_clock.server_now_ms() if server_clock.synced else 0,
            steady_ms=self._ports.clock.monotonic_ms(),
        )
        absent = replace(so_far, negatives=(*so_far.negatives, denied))
        try:
            with self._ports.clock.fail_after(
                self._ports.settings.intents.rest_query_timeout_ms / 1000
            ):
                read = self._read_target if case.target_order_id else self._read
                seen, lists, complete = await read(case, probe)
        except NoSuchOrder:
            # Only a standing order disproves a cancel; a read that finds nothing does not.
            return so_far if case.target_order_id else absent
        except Refused as error:
            # A missing list is reported under another error code.
            listed = probe.endpoint is Endpoint.ORDER_LIST
            return absent if listed and "does not exist" in error.message else so_far
        except (TimeoutError, *_UNREADABLE):
            return so_far
        if seen or lists:
            return replace(so_far, updates=(*so_far.updates, *seen), lists=(*so_far.lists, *lists))
        return absent if complete else so_far

    async def _read(
        self, case: Case, probe: Probe
    ) -> tuple[list[OrderUpdate], list[ListView], bool]:
        """What shows the intent, and whether the answer was complete enough to disprove it."""
        reads, symbol = self._ports.reads, case.symbol
        since = max(0, case.signed_ms - self._ports.settings.timing.mutation_timeout_ms)
        since -= _LOOK_BACK_MS
        match probe.endpoint:
            case Endpoint.ORDER:
                order = await reads.order(symbol, client_order_id=probe.client_order_id)
                return [_update(order)], [], True
            case Endpoint.ORDER_LIST:
                found = await reads.order_list(list_client_order_id=case.list_id)
                return [], [found], True
            case Endpoint.OPEN_ORDERS:
                views = await reads.open_orders(symbol)
                return _own(case, views), [], True
            case Endpoint.ALL_ORDERS:
                views = await reads.all_orders(symbol, start_ms=since)
                complete = len(views) < FULL_PAGE
                for view in views:
                    complete = complete and not await self._could_be(case, view)
                return _own(case, views), [], complete
            case Endpoint.TRADES:
                fills = await reads.trades(symbol, start_ms=since)
                seen, complete = await self._orders_behind(case, fills)
                return seen, [], complete and len(fills) < FULL_PAGE

    async def _read_target(
        self, case: Case, probe: Probe
    ) -> tuple[list[OrderUpdate], list[ListView], bool]:
        """The ended order that a cancel aims at, or whether the answer shows it standing."""
        if probe.endpoint is Endpoint.ORDER:
            order = await self._ports.reads.order(case.symbol, order_id=case.target_order_id)
            ended = order.status.is_terminal
            return [_update(order)] if ended else [], [], not ended and _stands(order)
        views = await self._ports.reads.open_orders(case.symbol)
        standing = {view.order_id for view in views if _stands(view)}
        return [], [], case.target_order_id in standing

    async def _orders_behind(
        self, case: Case, fills: tuple[Fill, ...]
    ) -> tuple[list[OrderUpdate], bool]:
        """Orders of ours behind these trades, and whether every trade could be attributed.

        Trades carry no client id, so each unknown order that traded is read by its id.
        """
        found: list[OrderUpdate] = []
        strangers = {f.order_id for f in fills if not self._is_known(case.symbol, f.order_id)}
        for order_id in sorted(strangers):
            try:
                order = await self._ports.reads.order(case.symbol, order_id=order_id)
            except NoSuchOrder:
                # It traded, so it exists: this read lags and disproves nothing.
                return found, False
            if _is_of(case, order):
                mine = tuple(fill for fill in fills if fill.order_id == order_id)
                found.append(OrderUpdate(order=order, fills=mine, source="REST"))
            elif await self._could_be(case, order):
                return found, False
        return found, True

    async def _could_be(self, case: Case, order: OrderView) -> bool:
        """Whether an order of unknown owner may be ours, its client id overwritten by a cancel.

        An order that stands or was filled was not cancelled, so it still shows its own id.
        """
        alike = order.side is case.side and order.orig_qty == case.qty
        alike = alike and order.status not in _UNDER_ITS_OWN_ID
        if not alike or _is_of(case, order) or self._is_known(order.symbol, order.order_id):
            return False
        # An order that ended in an earlier life is known only to the ledger.
        ledger = self._ports.ledger
        owner = await ledger.order_owner(order.symbol, order.order_id)
        if owner is None:
            alias = await ledger.alias(order.client_order_id)
            owner = None if alias is None else alias.order_intent_id
        return owner is None or owner == case.intent_id

    async def _engine_progress(self, case: Case, horizon: int) -> int:
        """Open time of the newest candle that traded after `horizon`, 0 if none did.

        It proves that the matching engine has moved past the request.
        """
        try:
            with self._ports.clock.fail_after(
                self._ports.settings.intents.rest_query_timeout_ms / 1000
            ):
                candles = await self._ports.market.klines(case.symbol, Interval.M1, limit=3)
        except (TimeoutError, *_UNREADABLE):
            return 0
        beyond = [c.open_time_ms for c in candles if c.volume > 0 and c.open_time_ms > horizon]
        return max(beyond, default=0)


def _stands(order: OrderView) -> bool:
    # An unknown status says nothing about the order.
    return not order.status.is_terminal and order.status is not OrderStatus.UNKNOWN


def _is_of(case: Case, order: OrderView) -> bool:
    return order.client_order_id in case.order_ids or order.own_id in case.order_ids


def _own(case: Case, views: tuple[OrderView, ...]) -> list[OrderUpdate]:
    return [_update(view) for view in views if _is_of(case, view)]


def _update(order: OrderView) -> OrderUpdate:
    return OrderUpdate(order=order, fills=(), source="REST")
