"""The only way to the exchange: row, SENT_UNKNOWN, gate, first byte, outcome; sent at most once.

*Reads* the send gate and the clocks. *Writes* ledger transitions up to SENT_UNKNOWN. *Owns* the
round trip times from which an entry's `recvWindow` is derived.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from livespot.actors.execution_ports import ExecutionPorts
from livespot.contracts.amounts import nearest_rank
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import (
    ClockRefused,
    FilterRefused,
    KeyRefused,
    LedgerViolation,
    NoSuchOrder,
    NotSent,
    OutcomeUnknown,
    PayloadInvalid,
    Refused,
    Throttled,
    Unreachable,
)
from livespot.contracts.ids import is_accepted_client_order_id
from livespot.contracts.orders import (
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    ListRequest,
    ListView,
    OrderIntent,
    OrderRequest,
    OrderUpdate,
)
from livespot.contracts.vocabulary import IntentState
from livespot.rules import ledger
from livespot.rules.closed_market import says_closed
from livespot.rules.requests import Mutation

# Codes by which the exchange says that the outcome is unknown, whatever the HTTP status.
UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007, -1008})
_SHUTTING_DOWN = -1016
NOT_ATTEMPTED = "not attempted: the order to be replaced was not cancelled"
_UNKNOWN_ORDER = -2011
_FILTER_FAILURE = re.compile(r"Filter failure: (\w+)")
_ENTRY_WINDOW_MS = (1500, 5000)
_ROUND_TRIPS = 100
_LEDGER_SLACK_S = 10.0


class Ending(StrEnum):
    """How a mutation ended. BLOCKED: stopped before SENT_UNKNOWN; NOT_SENT: after it."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    NOT_SENT = "NOT_SENT"
    BLOCKED = "BLOCKED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is known after a call; the fields from `filter_name` on classify a refusal.

    `cancelled` is the outcome of a cancel-replace's first half, where the two halves differ.
    """

    ending: Ending
    code: int = 0
    message: str = ""
    reason: ReasonCode = ReasonCode.ORDER_SUBMIT_REJECTED
    updates: tuple[OrderUpdate, ...] = ()
    order_list: ListView | None = None
    filter_name: str = ""
    no_such_order: bool = False
    clock: ClockRefused | None = None
    key_refused: bool = False
    throttled: Throttled | None = None
    cancelled: "Outcome | None" = None

    @property
    def market_closed(self) -> bool:
        return self.reason is ReasonCode.EXCHANGE_HALTED

    @property
    def silent_ms(self) -> int:
        """For how long the exchange forbids all requests; 0 when it does not."""
        return self.throttled.retry_after_ms if self.throttled is not None else 0


class MutationDesk:
    """Sends one mutation per call; calls for different symbols may overlap."""

    def __init__(self, ports: ExecutionPorts, intents: dict[str, OrderIntent]) -> None:
        self._ports = ports
        self._intents = intents
        self._round_trips: deque[int] = deque(maxlen=_ROUND_TRIPS)
        # How many mutations have begun and have no outcome yet.
        self.under_way = 0

    def entry_recv_window_ms(self) -> int:
        """The `recvWindow` of an entry: 4 x p99 of the round trip + 500, within 1500..5000 ms."""
        stated = self._ports.settings.timing.entry_recv_window_ms
        if stated != "AUTO":
            return int(stated)
        low, high = _ENTRY_WINDOW_MS
        if not self._round_trips:
            return high
        slow = int(nearest_rank(self._round_trips, 99))
        return min(high, max(low, 4 * slow + 500))

    async def send(self, mutation: Mutation, *, created: Callable[[], None]) -> Outcome:
        """Make the mutation durable, send it once, and return what is known about it afterwards.

        Shielded: once the row exists, the call runs to its outcome or its time limit, so that an
        answer under way is not lost. Only the end of the shutdown's patience leaves the mutation to
        the next boot, as SENT_UNKNOWN. `created` is called when the row is durable.
        """
        self.under_way += 1
        try:
            return await self._send(mutation, created)
        finally:
            self.under_way -= 1

    async def _send(self, mutation: Mutation, created: Callable[[], None]) -> Outcome:
        ports = self._ports
        limit_s = ports.settings.timing.mutation_timeout_ms / 1000
        with ports.clock.move_on_after(limit_s + _LEDGER_SLACK_S, shield=True):
            try:
                await ports.audit.commit(
                    *(
                        ledger.creation(half.intent, half.aliases, cycle_id=ports.cycles.next())
                        for half in mutation.halves
                    )
                )
            except LedgerViolation as error:
                return Outcome(
                    ending=Ending.BLOCKED,
                    message=str(error),
                    reason=ReasonCode.CLIENT_ORDER_ID_REUSE_BLOCK,
                )
            for half in mutation.halves:
                self._intents[half.intent.order_intent_id] = half.intent
            created()
            closed = self._closed(mutation)
            if closed is not None:
                await self._move(mutation, _unsent(closed, ports.clock.now_ms()))
                return Outcome(ending=Ending.BLOCKED, message=closed.value, reason=closed)
            promised_ms = ports.clock.monotonic_ms()
            await self._move(
                mutation,
                ledger.Step(
                    to_state=IntentState.SENT_UNKNOWN,
                    at_ms=ports.clock.now_ms(),
                    sent_at_ms=ports.server_clock.server_now_ms(),
                ),
            )
            waited_s = (ports.clock.monotonic_ms() - promised_ms) / 1000
            if waited_s >= limit_s:
                # The row says that the request was signed within the limit, and the proof of
                # absence relies on it.
                return Outcome(
                    ending=Ending.NOT_SENT,
                    message="the disk was too slow",
                    reason=ReasonCode.DB_WRITER_BACKPRESSURE,
                )
            return await self._transmit(mutation, limit_s - waited_s)
        return Outcome(ending=Ending.UNKNOWN, message="the ledger did not answer in time")

    async def _transmit(self, mutation: Mutation, limit_s: float) -> Outcome:
        ports = self._ports
        begun = ports.clock.monotonic_ms()
        with ports.clock.move_on_after(limit_s) as scope, ports.patience.lasts(scope):
            # Nothing may be awaited between this check of the gate and the first byte.
            closed = self._closed(mutation)
            if closed is not None:
                return Outcome(ending=Ending.NOT_SENT, message=closed.value, reason=closed)
            try:
                outcome = await self._call(mutation)
            except (OutcomeUnknown, Unreachable, PayloadInvalid) as error:
                return Outcome(ending=Ending.UNKNOWN, message=str(error))
            except Throttled as error:
                return Outcome(
                    ending=Ending.REFUSED, code=-1003, message=str(error), throttled=error
                )
            except Refused as error:
                return _refusal(error)
            self._round_trips.append(ports.clock.monotonic_ms() - begun)
            return outcome
        given_up = "left to the next boot" if ports.patience.is_over else "no answer in time"
        return Outcome(ending=Ending.UNKNOWN, message=given_up)

    async def _call(self, mutation: Mutation) -> Outcome:
        orders, request = self._ports.orders, mutation.request
        if mutation.cancel is not None:
            answer = await orders.cancel_replace(_one_request(mutation, mutation.cancel))
            return _of_both(answer)
        match request:
            case OrderRequest():
                placed = await orders.place(request)
                return _accepted(placed.updates, placed.order_list)
            case ListRequest():
                placed = await orders.place_list(request)
                return _accepted(placed.updates, placed.order_list)
            case CancelRequest():
                return _accepted(await orders.cancel(request), None)
            case CancelReplaceRequest():
                raise LedgerViolation("a cancelReplace is two linked rows, not one mutation")
            case _:
                assert_never(request)

    def _closed(self, mutation: Mutation) -> ReasonCode | None:
        """Why this mutation may not be sent at this moment; None when it may."""
        ports = self._ports
        if not all(is_accepted_client_order_id(a.client_order_id) for a in mutation.aliases):
            return ReasonCode.CLIENT_ORDER_ID_INVALID
        if not ports.gate.mutations_open:
            return ReasonCode.ENTER_EXIT
        if not mutation.is_entry:
            return None
        if not ports.gate.entries_open:
            return ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY
        if mutation.not_after_ms and ports.clock.monotonic_ms() > mutation.not_after_ms:
            return ReasonCode.STRAT_ENTRY_TIMEOUT
        return None

    async def _move(self, mutation: Mutation, step: ledger.Step) -> None:
        ids = [half.intent.order_intent_id for half in mutation.halves]
        moves = [
            ledger.transition(self._intents[one], step, cycle_id=self._ports.cycles.next())
            for one in ids
        ]
        await self._ports.audit.commit(*(entry for _, entry in moves))
        self._intents.update((moved.order_intent_id, moved) for moved, _ in moves)


def _unsent(reason: ReasonCode, at_ms: int) -> ledger.Step:
    return ledger.Step(
        to_state=IntentState.FAILED_TERMINAL,
        at_ms=at_ms,
        reasons=(reason,),
        evidence="nothing was sent",
    )


def _accepted(updates: tuple[OrderUpdate, ...], order_list: ListView | None) -> Outcome:
    return Outcome(ending=Ending.ACCEPTED, updates=updates, order_list=order_list)


def _one_request(placement: Mutation, cancel: Mutation) -> CancelReplaceRequest:
    if not isinstance(placement.request, OrderRequest):
        raise LedgerViolation("only a single order can take another's place")
    if not isinstance(cancel.request, CancelRequest):
        raise LedgerViolation("the first half of a cancel-replace is a cancel")
    return CancelReplaceRequest(cancel=cancel.request, order=placement.request)


def _of_both(answer: CancelReplaceAnswer) -> Outcome:
    """The outcome of a cancel-replace, each half by its own result."""
    ended = (*((answer.cancelled,) if answer.cancelled else ()), *answer.also_ended)
    first = _accepted(ended, None)
    if answer.cancel_error is not None:
        first = _refusal(_typed(*answer.cancel_error))
    if not answer.place_attempted:
        return Outcome(ending=Ending.NOT_SENT, message=NOT_ATTEMPTED, cancelled=first)
    if answer.place_error is not None:
        return replace(_refusal(_typed(*answer.place_error)), cancelled=first)
    placed = (answer.placed,) if answer.placed is not None else ()
    return replace(_accepted(placed, None), cancelled=first)


def _typed(code: int, message: str) -> Refused:
    """The refusal of one half as the error class that a whole request would have raised."""
    if code == _UNKNOWN_ORDER and "Unknown order" in message:
        return NoSuchOrder(code, message)
    found = _FILTER_FAILURE.match(message)
    return FilterRefused(code, message, filter_name=found[1]) if found else Refused(code, message)


def _reason_of(error: Refused) -> ReasonCode:
    """EXCHANGE_MAINTENANCE or EXCHANGE_HALTED if nobody may trade, else the order's refusal."""
    if error.code == _SHUTTING_DOWN:
        return ReasonCode.EXCHANGE_MAINTENANCE
    if says_closed(error.message):
        return ReasonCode.EXCHANGE_HALTED
    return ReasonCode.ORDER_SUBMIT_REJECTED


def _refusal(error: Refused) -> Outcome:
    """A definite refusal, unless code or status says that the exchange does not know itself."""
    if error.code in UNKNOWN_CODES or error.http_status >= 500:
        return Outcome(ending=Ending.UNKNOWN, code=error.code, message=error.message)
    return Outcome(
        ending=Ending.NOT_SENT if isinstance(error, NotSent) else Ending.REFUSED,
        code=error.code,
        message=error.message,
        reason=_reason_of(error),
        filter_name=error.filter_name if isinstance(error, FilterRefused) else "",
        no_such_order=isinstance(error, NoSuchOrder),
        clock=error if isinstance(error, ClockRefused) else None,
        key_refused=isinstance(error, KeyRefused),
    )
