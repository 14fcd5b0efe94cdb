"""Defects of sending: resends, fences, rows that come late, retries nobody stops."""

from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from typing import Any, TypeAlias

from msgspec.structs import replace as changed

from livespot.actors import entry_desk, resolver
from livespot.actors.entry_desk import EntryDesk
from livespot.actors.execution_answers import AnswerBook
from livespot.actors.execution_recovery import Recovery
from livespot.actors.execution_work import Answered, Attempts, OrderRead, Work
from livespot.actors.mutation_desk import Ending, MutationDesk, Outcome
from livespot.actors.order_tracker import Change
from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import IntentRole, IntentState
from livespot.rules import entry_engine as engine
from livespot.rules import evidence, ledger, risk
from livespot.testing.search.mutant_needs import (
    answered_after,
    crumbs_unseen,
    killed_at_a_creation,
    left_in_crumbs,
    order_vanishes,
    stop_follows,
    stops_lost,
)
from livespot.testing.search.mutants import Bench, Mutant
from livespot.testing.search.plan import RunPlan

_Transmit: TypeAlias = Callable[[MutationDesk, Any, float], Awaitable[Outcome]]
_Record: TypeAlias = Callable[[AnswerBook, Answered], Awaitable[Change]]
_RETRY_S = 5.0
_LIMIT_S = 5.0
# A mutation that is answered later counts as unanswered.
_TIMEOUT_MS = 8000


def _resend_on_timeout(bench: Bench) -> None:
    async def resending(desk: MutationDesk, mutation: Any, limit_s: float) -> Outcome:
        outcome = await once(desk, mutation, limit_s)
        return await once(desk, mutation, limit_s) if _unknown(outcome) else outcome

    once: _Transmit = bench.put(MutationDesk, "_transmit", resending)


def _unknown(outcome: Outcome) -> bool:
    return outcome.ending is Ending.UNKNOWN


def _three_reads(bench: Bench) -> None:
    def absent(case: evidence.Case, _timing: object, *, now_server_ms: int) -> bool:
        del now_server_ms
        return len(case.negatives) >= evidence.MIN_NEGATIVE_READS

    bench.put(resolver, "absence_proven", absent)
    bench.put(resolver, "behind_fence", lambda case, _timing: case.negatives)


def _no_fence(bench: Bench) -> None:
    for owner in (evidence, resolver):
        for name in ("fence_ms", "engine_horizon_ms"):
            bench.put(owner, name, lambda _case, _timing: -1)
    bench.put(resolver, "steady_fence_ms", lambda _now_ms, **_span: -1)
    # Nothing lies beyond a horizon that does not exist.
    asked = evidence.absence_proven

    def absent(case: evidence.Case, timing: Any, *, now_server_ms: int) -> bool:
        return asked(replace(case, engine_time_ms=0), timing, now_server_ms=now_server_ms)

    bench.put(resolver, "absence_proven", absent)


def _row_after_send(bench: Bench) -> None:
    async def sending_first(desk: MutationDesk, mutation: Any, *, created: Any) -> Outcome:
        outcome = await desk._transmit(mutation, _LIMIT_S)  # noqa: SLF001  a defect reaches inside
        late = copy(desk)

        async def answered(_mutation: Any, _limit_s: float) -> Outcome:
            return outcome

        late.__dict__["_transmit"] = answered
        return await writing(late, mutation, created=created)

    writing: Callable[..., Awaitable[Outcome]] = bench.put(MutationDesk, "send", sending_first)


def _created_not_rechecked(bench: Bench) -> None:
    async def overlooked(_recovery: Recovery, _intent: Any) -> None:
        return None

    bench.put(Recovery, "_never_sent", overlooked)


def _retry_timer_kept(bench: Bench) -> None:
    async def recorded(book: AnswerBook, done: Answered) -> Change:
        change = await record(book, done)
        if _unknown(done.outcome) and done.mutation.cancel is None:
            shop = book._shop  # noqa: SLF001

            async def retry() -> Work:
                await shop.ports.clock.sleep(_RETRY_S)
                await shop.desk._transmit(done.mutation, _LIMIT_S)  # noqa: SLF001
                return OrderRead(symbol=done.mutation.intent.symbol, order_id=0, update=None)

            shop.crew.start(retry)
        return change

    record: _Record = bench.put(AnswerBook, "record", recorded)


def _cancel_executed_ignored(bench: Bench) -> None:
    async def recorded(book: AnswerBook, done: Answered) -> Change:
        if done.mutation.intent.role is IntentRole.CANCEL:
            updates = tuple(_with_nothing_bought(update) for update in done.outcome.updates)
            done = replace(done, outcome=replace(done.outcome, updates=updates))
        return await record(book, done)

    record: _Record = bench.put(AnswerBook, "record", recorded)


def _with_nothing_bought(update: Any) -> Any:
    order = changed(update.order, executed_qty=0 * update.order.executed_qty)
    return changed(update, order=order, fills=())


def _unknown_order_means_gone(bench: Bench) -> None:
    async def recorded(book: AnswerBook, done: Answered) -> Change:
        change = await record(book, done)
        tracker = book._shop.tracker  # noqa: SLF001
        parent = tracker.intents.get(done.mutation.intent.parent_order_intent_id)
        gone = done.outcome.no_such_order and parent is not None
        if not gone or parent is None or parent.state is not IntentState.SENT_UNKNOWN:
            return change
        step = ledger.Step(
            to_state=IntentState.NOT_FOUND,
            at_ms=book._ports.clock.now_ms(),  # noqa: SLF001
            reasons=(ReasonCode.INTENT_NOT_FOUND_BY_REST,),
            evidence="a cancel found no order",
        )
        further = await tracker.absorb(step=(parent.order_intent_id, step))
        return Change(
            orders=change.orders + further.orders,
            moved=change.moved + further.moved,
            reopened=change.reopened,
            unseen=change.unseen,
        )

    record: _Record = bench.put(AnswerBook, "record", recorded)


def _mode_checked_at_decision(bench: Bench) -> None:
    async def ticking(desk: EntryDesk) -> None:
        if desk.stopping:
            await tick(desk)
            return
        for case in list(desk._cases.values()):  # noqa: SLF001
            if case.finish is not None:
                await desk._announce(case)  # noqa: SLF001
            else:
                await desk._feed(case, engine.Ticked())  # noqa: SLF001

    def refusal(desk: EntryDesk, symbol: str, info: Any) -> ReasonCode | None:
        reason = refuse(desk, symbol, info)
        return None if reason is ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY else reason

    def closed(desk: MutationDesk, mutation: Any) -> ReasonCode | None:
        reason = look(desk, mutation)
        return None if reason is ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY else reason

    def standing(case: Any) -> Any:
        blocked = ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY
        return (reason for reason in weighed(case) if reason is not blocked)

    tick = bench.put(EntryDesk, "tick", ticking)
    refuse = bench.put(EntryDesk, "_refusal", refusal)
    look = bench.put(MutationDesk, "_closed", closed)
    weighed = bench.put(risk, "_standing", standing)


def _attempt_missing(bench: Bench) -> None:
    async def first(_attempts: Attempts, _decision: str, _parent: str, _role: IntentRole) -> int:
        return 1

    def unnumbered(*told: Any, **fields: Any) -> str:
        return str(numbered(*told, **{**fields, "attempt": 1}))

    bench.put(Attempts, "next", first)
    numbered = bench.put(entry_desk, "entry_intent_id", unnumbered)


def _stop_moved(plan: RunPlan) -> bool:
    # A lost stop would be asked for under its old id, refused and asked for again in no time.
    return stop_follows(plan) and not stops_lost(plan)


def _left_unseen(plan: RunPlan) -> bool:
    return left_in_crumbs(plan) and crumbs_unseen(plan)


def _vanished_or_unseen(plan: RunPlan) -> bool:
    return order_vanishes(plan) or crumbs_unseen(plan)


SENDING = (
    Mutant(
        name="resend-on-timeout",
        defect="a mutation without an answer is sent again",
        plant=_resend_on_timeout,
        needs=answered_after(_TIMEOUT_MS),
    ),
    Mutant(
        name="not-found-after-three-reads",
        defect="three reads that do not show an order prove its absence, whenever they are made",
        plant=_three_reads,
        needs=order_vanishes,
    ),
    Mutant(
        name="no-fence",
        defect="reads of every kind prove absence at once, behind no fence",
        plant=_no_fence,
        needs=order_vanishes,
    ),
    Mutant(
        name="row-after-send",
        defect="the ledger's row is written when the answer is there",
        plant=_row_after_send,
    ),
    Mutant(
        name="created-not-rechecked",
        defect="a boot leaves an intent alone that was found as CREATED",
        plant=_created_not_rechecked,
        needs=killed_at_a_creation,
    ),
    Mutant(
        name="retry-timer-kept",
        defect="the retry of an unanswered mutation goes off although evidence has come meanwhile",
        plant=_retry_timer_kept,
        needs=answered_after(_TIMEOUT_MS),
    ),
    Mutant(
        name="cancel-executed-ignored",
        defect="what a cancel's reply says was executed is not looked at",
        plant=_cancel_executed_ignored,
        needs=_left_unseen,
    ),
    Mutant(
        name="unknown-order-means-gone",
        defect="a cancel that finds no order proves that there never was one",
        plant=_unknown_order_means_gone,
        needs=_vanished_or_unseen,
    ),
    Mutant(
        name="mode-checked-at-decision",
        defect="the mode is looked at when an entry is decided, never again until it leaves",
        plant=_mode_checked_at_decision,
    ),
    Mutant(
        name="attempt-missing",
        defect="ids are made without the number of the attempt",
        plant=_attempt_missing,
        needs=_stop_moved,
    ),
)
