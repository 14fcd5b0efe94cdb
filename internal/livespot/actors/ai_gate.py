"""Asks the model about each proposal; what comes back can only stop or shrink it.

Reads: `Proposal`s from signal, `ModeChanged`; risk's precheck on request.
Writes: `GatedProposal` to risk, `ProposalEnded` to signal, `HealthSignal` to the governor, and one
AIGATE_CALL row per attempt, durable before anything moves on.
Owns: the calls in flight; the gate's budget, which goes on over restarts; what the model refused
lately, which does not.
"""

from dataclasses import dataclass, field
from typing import Any, assert_never

import anyio
import msgspec
from anyio.abc import TaskGroup, TaskStatus

from livespot.actors.mail import (
    GatedProposal,
    GateInbox,
    GovernorInbox,
    PrecheckAsked,
    Proposal,
    ProposalEnded,
    RiskInbox,
    SignalInbox,
)
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import AIGateResult, Decision
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader
from livespot.contracts.records import DecisionRow, GateEventRow, Record
from livespot.contracts.settings import Settings
from livespot.contracts.system import HealthSignal, ModeChanged
from livespot.contracts.vocabulary import (
    EventType,
    GateVerdict,
    SignalKind,
    SignalLevel,
    Stage,
    SysMode,
)
from livespot.gate.client import Completion, GateFailed, GateModel
from livespot.gate.prompts import GateInput, Prompt, chat_request, gate_input
from livespot.rules import gate_budget, gate_refusals
from livespot.rules.gate_answer import AnswerRefused, AnswerVerdict, GateAnswer, Patch, parse_answer
from livespot.rules.gate_budget import GateUsage
from livespot.rules.gate_enforcement import PatchRefused, apply_patch
from livespot.rules.gate_refusals import Refusals, subject_of
from livespot.runtime.mailboxes import Mailbox, Reply

# Long enough for the governor to weigh the failure, short against its stability window.
_SIGNAL_HOLD_SECONDS = 10.0
_SOURCE = "ai_gate"


@dataclass(slots=True)
class _Desk:
    """The actor's state: shared by its own child tasks and by nobody else."""

    mode: SysMode = SysMode.DEGRADE
    in_flight: set[str] = field(default_factory=set)
    usage: GateUsage = field(default_factory=GateUsage)
    refusals: Refusals = field(default_factory=dict)
    signals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The result of one attempt. `decision` is the one to go on with, None if it ends here."""

    result: AIGateResult
    decision: Decision | None
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AiGate:
    settings: Settings
    prompt: Prompt
    client: GateModel
    clock: Clock
    audit: AuditPort
    ledger: LedgerReader
    inbox: Mailbox[GateInbox]
    risk: Mailbox[RiskInbox]
    signal: Mailbox[SignalInbox]
    governor: Mailbox[GovernorInbox]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until the inbox closes; a call still under way then is abandoned."""
        since_ms = self.clock.now_ms() - gate_budget.DAY_MS
        calls = await self.ledger.gate_calls(since_ms=since_ms)
        desk = _Desk(usage=GateUsage(calls_ms=calls))
        async with anyio.create_task_group() as group:
            task_status.started()
            async for message in self.inbox:
                match message:
                    case ModeChanged():
                        desk.mode = message.mode
                    case Proposal():
                        await self._take(desk, message, group)
                    case _:
                        assert_never(message)
            group.cancel_scope.cancel()

    async def _take(self, desk: _Desk, proposal: Proposal, group: TaskGroup) -> None:
        symbol = proposal.decision.symbol
        if desk.mode is not SysMode.NORMAL:
            await self._end(proposal, ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY)
        elif self.settings.ai_gate.ai_dec == 0:
            await self._settle(desk, proposal, self._disabled(proposal), group)
        elif symbol in desk.in_flight:
            await self._end(proposal, ReasonCode.RISK_ENTRY_ALREADY_PENDING)
        else:
            desk.in_flight.add(symbol)
            group.start_soon(self._attempt, desk, proposal, group)

    async def _attempt(self, desk: _Desk, proposal: Proposal, group: TaskGroup) -> None:
        try:
            refused = await self._refused(desk, proposal)
            if refused:
                await self._end(proposal, *refused)
                return
            try:
                asked = gate_input(proposal.decision, proposal.snapshot, self.prompt)
            except PayloadInvalid:
                # A name of ours that may not enter a prompt: the model is not to blame for it.
                await self._end(proposal, ReasonCode.STRAT_INPUT_INVALID)
                return
            outcome = await self._ask(desk, proposal, asked)
            desk.refusals = gate_refusals.answered(
                desk.refusals,
                subject_of(proposal.snapshot),
                outcome.result.verdict,
                self.clock.monotonic_ms(),
            )
            await self._settle(desk, proposal, outcome, group)
        finally:
            desk.in_flight.discard(proposal.decision.symbol)

    async def _refused(self, desk: _Desk, proposal: Proposal) -> tuple[ReasonCode, ...]:
        """Why the model is not asked: risk refuses whatever the answer, or a refusal stands.

        Risk has recorded its refusal by then. Without an answer the decision becomes too old.
        """
        decision, reply = proposal.decision, Reply[tuple[ReasonCode, ...]]()
        max_age_ms = self.settings.timing.decision_max_age_ms
        # After the clock was set back, a decision dated in the future counts as new.
        age_ms = max(0, self.clock.now_ms() - decision.ts_ms)
        with self.clock.move_on_after(max(0, max_age_ms - age_ms) / 1000):
            await self.risk.send(
                PrecheckAsked(decision=decision, snapshot=proposal.snapshot, reply=reply)
            )
            reasons = await reply.wait()
            if not reasons and desk.mode is not SysMode.NORMAL:
                return (ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,)
            return reasons or self._standing(desk, proposal)
        return (ReasonCode.STRAT_ENTRY_ABORTED_COST,)

    def _standing(self, desk: _Desk, proposal: Proposal) -> tuple[ReasonCode, ...]:
        subject, now_ms = subject_of(proposal.snapshot), self.clock.monotonic_ms()
        stands = gate_refusals.stands(desk.refusals, subject, now_ms)
        return (ReasonCode.AIGATE_BLOCK_STANDS,) if stands else ()

    async def _ask(self, desk: _Desk, proposal: Proposal, asked: GateInput) -> _Outcome:
        """One call, bounded as a whole; whatever comes after the limit is never read."""
        gate = self.settings.ai_gate
        desk.usage = gate_budget.current(desk.usage, self.clock.now_ms())
        if not gate_budget.may_call(desk.usage, self.clock.now_ms(), gate):
            failure = GateFailed(ReasonCode.AIGATE_BUDGET, "the configured calls are used up")
            return self._failure(asked, failure, 0)
        desk.usage = gate_budget.called(desk.usage, self.clock.now_ms())
        began_ms = self.clock.monotonic_ms()
        request = chat_request(asked, self.prompt, model=gate.model)
        failure = GateFailed(ReasonCode.AIGATE_TIMEOUT, f"no answer within {gate.timeout_ms} ms")
        with self.clock.move_on_after(gate.timeout_ms / 1000):
            try:
                completion = await self.client.complete(request)
                return self._answered(
                    proposal, asked, completion, self.clock.monotonic_ms() - began_ms
                )
            except GateFailed as error:
                failure = error
        return self._failure(asked, failure, self.clock.monotonic_ms() - began_ms)

    def _answered(
        self, proposal: Proposal, asked: GateInput, completion: Completion, latency_ms: int
    ) -> _Outcome:
        """Read and enforce an answer that came in time. Raises `GateFailed`."""
        raw_hash = completion.raw_hash
        if latency_ms > self.settings.ai_gate.timeout_ms:
            raise GateFailed(ReasonCode.AIGATE_LATE, "answered after the limit", raw_hash=raw_hash)
        if completion.declined:
            result = self._result(asked, GateVerdict.BLOCK, (ReasonCode.AIGATE_BLOCKED,))
            return _Outcome(
                result=_stamped(result, latency_ms, raw_hash), decision=None, failed=False
            )
        answer = parse_answer(completion.content, input_hash=asked.input_hash)
        if isinstance(answer, AnswerRefused):
            raise GateFailed(answer.code, answer.detail, raw_hash=raw_hash)
        result = self._result(asked, GateVerdict(answer.verdict.value), answer.reasons)
        result = _stamped(result, latency_ms, raw_hash)
        match answer.verdict:
            case AnswerVerdict.ALLOW:
                return _Outcome(result=result, decision=proposal.decision, failed=False)
            case AnswerVerdict.BLOCK:
                return _Outcome(result=result, decision=None, failed=False)
            case AnswerVerdict.MODIFY:
                return _modified(proposal, answer, result)
            case _:
                assert_never(answer.verdict)

    def _failure(self, asked: GateInput, failure: GateFailed, latency_ms: int) -> _Outcome:
        result = self._result(asked, GateVerdict.ERROR, (failure.code,))
        result = msgspec.structs.replace(
            _stamped(result, latency_ms, failure.raw_hash),
            error_code=failure.code.value,
            error_detail_redacted=failure.detail,
        )
        return _Outcome(result=result, decision=None, failed=True)

    def _disabled(self, proposal: Proposal) -> _Outcome:
        asked = GateInput(payload=b"", input_hash="")
        result = self._result(asked, GateVerdict.ALLOW, (ReasonCode.AIGATE_DISABLED,))
        result = msgspec.structs.replace(result, enabled=False)
        return _Outcome(result=result, decision=proposal.decision, failed=False)

    def _result(
        self, asked: GateInput, verdict: GateVerdict, reasons: tuple[ReasonCode, ...]
    ) -> AIGateResult:
        return AIGateResult(
            enabled=True,
            verdict=verdict,
            reasons=reasons,
            model=self.settings.ai_gate.model,
            latency_ms=0,
            input_hash=asked.input_hash,
            raw_hash="",
            prompt_hash=self.prompt.hash,
        )

    async def _settle(
        self, desk: _Desk, proposal: Proposal, outcome: _Outcome, group: TaskGroup
    ) -> None:
        """Record the attempt, tell the governor of a failure, then pass on or end."""
        dropped = self._dropped(desk, proposal) if outcome.decision is not None else None
        await self.audit.commit(self._entry(proposal, outcome, dropped))
        if outcome.failed:
            await self._report(desk, outcome.result, group)
        if outcome.decision is None:
            codes = tuple(dict.fromkeys((*outcome.result.reasons, *_BLOCKED[outcome.failed])))
            await self._end(proposal, *codes)
        elif dropped is not None:
            await self._end(proposal, dropped)
        else:
            await self.risk.send(
                GatedProposal(
                    decision=_gated(outcome.decision, outcome.result),
                    snapshot=proposal.snapshot,
                    gate=outcome.result,
                )
            )

    def _dropped(self, desk: _Desk, proposal: Proposal) -> ReasonCode | None:
        """Why an allowed decision still goes no further: the world moved on meanwhile."""
        if desk.mode is not SysMode.NORMAL:
            return ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY
        age_ms = self.clock.now_ms() - proposal.decision.ts_ms
        if age_ms > self.settings.timing.decision_max_age_ms:
            return ReasonCode.AIGATE_LATE
        return None

    async def _report(self, desk: _Desk, result: AIGateResult, group: TaskGroup) -> None:
        desk.usage = gate_budget.failed(desk.usage, self.clock.now_ms())
        level = gate_budget.failure_level(desk.usage, self.settings.ai_gate)
        if level is None:
            return
        desk.signals += 1
        await self.governor.send(
            HealthSignal(
                kind=SignalKind.AI_GATE,
                level=level,
                reason=result.reasons[0],
                source=_SOURCE,
                value=len(desk.usage.failures_ms),
                threshold=self.settings.ai_gate.pause_after_failures,
                unit="failures",
                detail=result.error_detail_redacted,
                at_ms=self.clock.now_ms(),
            )
        )
        group.start_soon(self._withdraw, desk, desk.signals, result.reasons[0])

    async def _withdraw(self, desk: _Desk, number: int, reason: ReasonCode) -> None:
        """A failure is a moment, not a state: its signal ends unless a newer one has followed."""
        await self.clock.sleep(_SIGNAL_HOLD_SECONDS)
        if desk.signals == number:
            await self.governor.send(
                HealthSignal(
                    kind=SignalKind.AI_GATE,
                    level=SignalLevel.CLEAR,
                    reason=reason,
                    source=_SOURCE,
                    at_ms=self.clock.now_ms(),
                )
            )

    async def _end(self, proposal: Proposal, *reasons: ReasonCode) -> None:
        decision = proposal.decision
        await self.signal.send(
            ProposalEnded(decision_id=decision.decision_id, symbol=decision.symbol, reasons=reasons)
        )

    def _entry(
        self, proposal: Proposal, outcome: _Outcome, dropped: ReasonCode | None
    ) -> AuditEntry:
        decision, result = proposal.decision, outcome.result
        now_ms = self.clock.now_ms()
        records: list[Record] = [_event_row(decision, result, now_ms)]
        if outcome.decision is not None and result.modify_applied:
            records.append(_modified_row(decision, _gated(outcome.decision, result), now_ms))
        reasons = result.reasons if dropped is None else (*result.reasons, dropped)
        return AuditEntry(
            draft=AuditDraft(
                event_type=EventType.AIGATE_CALL,
                stage=Stage.AIGATE_CALL,
                ts_ms=now_ms,
                cycle_id=decision.cycle_id,
                reasons=tuple(dict.fromkeys(reasons)),
                snapshot_id=decision.snapshot_id,
                decision_id=decision.decision_id,
                symbol=decision.symbol,
                data={
                    "enabled": result.enabled,
                    "verdict": result.verdict,
                    "model": result.model,
                    "latency_ms": result.latency_ms,
                    "input_hash": result.input_hash,
                    "raw_hash": result.raw_hash,
                    "prompt_hash": result.prompt_hash,
                    "modify_applied": result.modify_applied,
                    "patch_redacted": result.patch_redacted,
                    "error_code": result.error_code,
                    "error_detail_redacted": result.error_detail_redacted,
                    "dropped": "" if dropped is None else dropped,
                },
            ),
            records=tuple(records),
        )


# A failure names itself; a verdict of BLOCK may carry any codes, so it is named for the reader.
_BLOCKED = {True: (), False: (ReasonCode.AIGATE_BLOCKED,)}


def _modified(proposal: Proposal, answer: GateAnswer, result: AIGateResult) -> _Outcome:
    """Apply a MODIFY, or raise `GateFailed` when it is not a reduction."""
    patch = answer.modified_decision
    if patch is None:
        raise GateFailed(ReasonCode.AIGATE_SCHEMA_INVALID, "MODIFY without a change")
    original = proposal.decision
    changed = apply_patch(original, patch, config_hash=proposal.snapshot.config_hash)
    if isinstance(changed, PatchRefused):
        raise GateFailed(
            ReasonCode.AIGATE_MODIFY_INVALID,
            f"{changed.field}: {changed.rule}",
            raw_hash=result.raw_hash,
        )
    result = msgspec.structs.replace(
        result,
        reasons=tuple(dict.fromkeys((*result.reasons, ReasonCode.AIGATE_MODIFIED))),
        modify_applied=True,
        patch_redacted=canonical_json(_changes(patch)).decode(),
        original_decision_id=original.decision_id,
    )
    return _Outcome(result=result, decision=changed, failed=False)


def _changes(patch: Patch) -> dict[str, Any]:
    """The typed patch without its unchanged fields: enums, integers and decimal texts only."""

    def pruned(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {k: pruned(v) for k, v in tree.items() if v is not None}
        return tree

    tree: dict[str, Any] = pruned(msgspec.to_builtins(patch))
    return tree


def _stamped(result: AIGateResult, latency_ms: int, raw_hash: str) -> AIGateResult:
    return msgspec.structs.replace(result, latency_ms=latency_ms, raw_hash=raw_hash)


def _gated(decision: Decision, result: AIGateResult) -> Decision:
    return msgspec.structs.replace(decision, ai_gate=result, stage=Stage.AIGATE_CALL)


def _event_row(decision: Decision, result: AIGateResult, now_ms: int) -> GateEventRow:
    return GateEventRow(
        cycle_id=decision.cycle_id,
        decision_id=decision.decision_id,
        snapshot_id=decision.snapshot_id,
        snapshot_hash=decision.snapshot_hash,
        input_hash=result.input_hash,
        raw_hash=result.raw_hash,
        prompt_hash=result.prompt_hash,
        enabled=result.enabled,
        verdict=result.verdict,
        reasons=result.reasons,
        model=result.model,
        latency_ms=result.latency_ms,
        modify_applied=result.modify_applied,
        patch_redacted=result.patch_redacted,
        error_code=result.error_code,
        error_detail_redacted=result.error_detail_redacted,
        at_ms=now_ms,
    )


def _modified_row(original: Decision, changed: Decision, now_ms: int) -> DecisionRow:
    return DecisionRow(
        decision_id=changed.decision_id,
        cycle_id=changed.cycle_id,
        symbol=changed.symbol,
        outcome="MODIFIED",
        snapshot_id=changed.snapshot_id,
        edge_score_x10000=changed.edge_score_x10000,
        edge_bps_expected=changed.edge_bps_expected,
        reasons=changed.reasons,
        decision_json=canonical_json(changed).decode(),
        original_decision_id=original.decision_id,
        at_ms=now_ms,
    )
