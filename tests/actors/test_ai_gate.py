"""The gate actor between signal and risk, against the embedded model over its HTTP shape."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import msgspec
import pytest

from livespot.actors.ai_gate import AiGate
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
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Regime
from livespot.contracts.queries import LedgerReader
from livespot.contracts.records import DecisionRow, GateEventRow
from livespot.contracts.secret import Secret
from livespot.contracts.settings import GateSettings, Settings, TimingSettings
from livespot.contracts.system import HealthSignal, ModeChanged
from livespot.contracts.transport import HttpAnswer
from livespot.contracts.vocabulary import (
    EventType,
    GateVerdict,
    RegimeLabel,
    SignalLevel,
    SysMode,
)
from livespot.exchange.model_gate import ModelGate, ScriptedAnswer
from livespot.gate.client import GateClient
from livespot.gate.prompts import load_prompt
from livespot.gate.recorded import RecordedGate
from livespot.rules.gate_budget import GateUsage, called, failed, failure_level, may_call
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.market_values import NOW_MS, a_snapshot
from livespot.testing.risk_values import an_entry

_FOLDER = Path(__file__).resolve().parents[2] / "prompts"
_PROMPT = load_prompt(lambda path: (_FOLDER / path).read_bytes())


@dataclass
class _Line:
    """Carries requests to the embedded model; `hold` keeps answers back until it is set."""

    model: ModelGate
    clock: ManualClock
    hold: anyio.Event | None = None
    late_ms: int = 0
    calls: int = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        content: bytes,
        timeout_seconds: float,
    ) -> HttpAnswer:
        self.calls += 1
        if self.hold is not None:
            await self.hold.wait()
        self.clock.advance(self.late_ms)
        status, body = await self.model.answer(content)
        return HttpAnswer(status=status, headers={}, body=body)


@dataclass
class _Ledger:
    """When the gate was asked in earlier lives of the process."""

    calls: tuple[int, ...] = ()

    async def gate_calls(self, *, since_ms: int) -> tuple[int, ...]:
        return tuple(at_ms for at_ms in self.calls if at_ms >= since_ms)


@dataclass
class _House:
    clock: ManualClock
    line: _Line
    audit: RecordingAudit
    inbox: Mailbox[GateInbox]
    risk: Mailbox[RiskInbox]
    signal: Mailbox[SignalInbox]
    governor: Mailbox[GovernorInbox]
    gated: Mailbox[GatedProposal]
    refusals: list[tuple[ReasonCode, ...]] = field(default_factory=list)
    precheck: anyio.Event | None = None

    async def stand_in_for_risk(self) -> None:
        """Answer each precheck with the next refusal, or with none, and keep the rest.

        It holds its answers back until `precheck` is set.
        """
        async for message in self.risk:
            if isinstance(message, PrecheckAsked):
                if self.precheck is not None:
                    await self.precheck.wait()
                message.reply.answer(self.refusals.pop(0) if self.refusals else ())
            elif isinstance(message, GatedProposal):
                await self.gated.send(message)

    async def propose(self, *, regime: Regime | None = None, **changes: Any) -> Proposal:
        snapshot = a_snapshot()
        decision = msgspec.structs.replace(an_entry(snapshot), ai_gate=None, **changes)
        if regime is not None:
            snapshot = msgspec.structs.replace(snapshot, regime=regime)
        proposal = Proposal(decision=decision, snapshot=snapshot)
        await self.inbox.send(proposal)
        return proposal

    async def passed(self) -> GatedProposal:
        with anyio.fail_after(5):
            return await self.gated.receive()

    async def ended(self) -> tuple[ReasonCode, ...]:
        with anyio.fail_after(5):
            message = await self.signal.receive()
        assert isinstance(message, ProposalEnded)
        return message.reasons

    async def signalled(self) -> HealthSignal:
        with anyio.fail_after(5):
            message = await self.governor.receive()
        assert isinstance(message, HealthSignal)
        return message

    def rows(self) -> list[GateEventRow]:
        records = [r for entry in self.audit.entries for r in entry.records]
        return [record for record in records if isinstance(record, GateEventRow)]


def _mode(mode: SysMode) -> ModeChanged:
    return ModeChanged(mode=mode, previous=SysMode.DEGRADE, reasons=(), active=(), at_ms=NOW_MS)


@asynccontextmanager
async def _house(
    *answers: ScriptedAnswer,
    mode: SysMode = SysMode.NORMAL,
    calls: tuple[int, ...] = (),
    rows: Sequence[GateEventRow] | None = None,
    max_age_ms: int = TimingSettings().decision_max_age_ms,
    **gate: Any,
) -> AsyncIterator[_House]:
    clock, audit = ManualClock(NOW_MS), RecordingAudit()
    timing = TimingSettings(decision_max_age_ms=max_age_ms)
    settings = Settings(ai_gate=GateSettings(**gate), timing=timing)
    house = _House(
        clock=clock,
        line=_Line(ModelGate(clock, answers), clock),
        audit=audit,
        inbox=Mailbox("gate", 16, clock),
        risk=Mailbox("risk", 16, clock),
        signal=Mailbox("signal", 16, clock),
        governor=Mailbox("governor", 16, clock),
        gated=Mailbox("gated", 16, clock),
    )
    actor = AiGate(
        settings=settings,
        prompt=_PROMPT,
        client=_client(house.line) if rows is None else RecordedGate(rows, clock),
        clock=clock,
        audit=audit,
        ledger=cast("LedgerReader", _Ledger(calls)),
        inbox=house.inbox,
        risk=house.risk,
        signal=house.signal,
        governor=house.governor,
    )
    async with anyio.create_task_group() as group:
        await group.start(actor.run)
        group.start_soon(house.stand_in_for_risk)
        await house.inbox.send(_mode(mode))
        yield house
        house.inbox.close()
        house.risk.close()


def _client(line: _Line) -> GateClient:
    return GateClient(
        transport=line,
        base_url="http://127.0.0.1:1/v1",
        key=Secret("sk-test"),
        timeout_seconds=9,
    )


def _content(**fields: Any) -> ScriptedAnswer:
    body = {
        "verdict": "ALLOW",
        "reasons": ["AIGATE_ALLOWED"],
        "input_hash": "{input_hash}",
        "modified_decision": None,
    }
    return ScriptedAnswer(content=json.dumps(body | fields))


def _modify(patch: dict[str, Any]) -> ScriptedAnswer:
    return _content(verdict="MODIFY", reasons=["AIGATE_MODIFIED"], modified_decision=patch)


async def test_an_allowed_proposal_reaches_risk_with_its_row_durable_first() -> None:
    async with _house() as house:
        proposal = await house.propose()

        gated = await house.passed()

    assert gated.decision.decision_id == proposal.decision.decision_id
    assert gated.decision.ai_gate == gated.gate
    (row,) = house.rows()
    assert row.verdict is GateVerdict.ALLOW
    assert row.input_hash == gated.gate.input_hash
    assert len(row.raw_hash) == len(row.prompt_hash) == 64


async def test_a_modified_proposal_is_smaller_and_keeps_its_link() -> None:
    async with _house(_modify({"entry_plan": {"qty": "1.0"}})) as house:
        proposal = await house.propose()

        gated = await house.passed()

    assert gated.decision.entry_plan is not None
    assert gated.decision.entry_plan.qty == Decimal("1.000")
    assert gated.gate.original_decision_id == proposal.decision.decision_id
    assert gated.decision.decision_id != proposal.decision.decision_id
    (entry,) = house.audit.of(EventType.AIGATE_CALL)
    row, changed = entry.records
    assert isinstance(row, GateEventRow)
    assert isinstance(changed, DecisionRow)
    assert row.decision_id == changed.original_decision_id == proposal.decision.decision_id
    assert row.patch_redacted == '{"entry_plan":{"qty":"1.0"}}'
    assert row.reasons == (ReasonCode.AIGATE_MODIFIED,)


async def test_a_blocked_proposal_ends_without_a_signal() -> None:
    async with _house(_content(verdict="BLOCK", reasons=["SPREAD_OPENING"])) as house:
        await house.propose()

        assert await house.ended() == (ReasonCode.SPREAD_OPENING, ReasonCode.AIGATE_BLOCKED)
        assert house.governor.stats().received == 0


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ScriptedAnswer(content="not json"), ReasonCode.AIGATE_PARSE_FAIL),
        (ScriptedAnswer(status=500), ReasonCode.AIGATE_HTTP_ERROR),
        (ScriptedAnswer(status=429), ReasonCode.AIGATE_BUDGET),
        (_content(reasons=["NO_SUCH"]), ReasonCode.AIGATE_REASON_UNKNOWN),
        (_content(input_hash="0" * 64), ReasonCode.AIGATE_SCHEMA_INVALID),
        (_modify({"entry_plan": {"qty": "9"}}), ReasonCode.AIGATE_MODIFY_INVALID),
    ],
)
async def test_a_failure_of_a_mandatory_gate_blocks_and_pauses(
    answer: ScriptedAnswer, code: ReasonCode
) -> None:
    async with _house(answer) as house:
        await house.propose()

        assert await house.ended() == (code,)
        signal = await house.signalled()

        assert (signal.level, signal.reason) == (SignalLevel.PAUSE, code)
        assert (await house.signalled()).level is SignalLevel.CLEAR
    (row,) = house.rows()
    assert (row.verdict, row.error_code) == (GateVerdict.ERROR, code)


async def test_a_failure_of_an_optional_gate_only_blocks() -> None:
    async with _house(ScriptedAnswer(status=500), ai_dec=1) as house:
        await house.propose()

        assert await house.ended() == (ReasonCode.AIGATE_HTTP_ERROR,)
        assert house.governor.stats().received == 0


async def test_a_disabled_gate_lets_everything_through_and_says_so() -> None:
    async with _house(ai_dec=0) as house:
        await house.propose()

        gated = await house.passed()

    assert not gated.gate.enabled
    assert gated.gate.reasons == (ReasonCode.AIGATE_DISABLED,)
    assert house.line.calls == 0
    assert [row.enabled for row in house.rows()] == [False]


@pytest.mark.slow
async def test_a_silent_model_times_out_and_its_late_answer_goes_nowhere() -> None:
    async with _house(timeout_ms=100) as house:
        house.line.hold = anyio.Event()
        await house.propose()

        assert await house.ended() == (ReasonCode.AIGATE_TIMEOUT,)
        house.line.hold.set()
        await anyio.wait_all_tasks_blocked()

        assert house.gated.stats().received == 0


async def test_an_answer_after_the_limit_is_discarded_even_if_it_arrives() -> None:
    async with _house() as house:
        house.line.late_ms = 8001
        await house.propose()

        assert await house.ended() == (ReasonCode.AIGATE_LATE,)


@pytest.mark.parametrize(("age_ms", "passes"), [(14_999, True), (15_000, True), (15_001, False)])
async def test_a_decision_that_grew_old_meanwhile_is_dropped(age_ms: int, passes: bool) -> None:
    async with _house() as house:
        house.line.late_ms = 7000
        await house.propose(ts_ms=NOW_MS + 7000 - age_ms)

        if passes:
            await house.passed()
        else:
            assert await house.ended() == (ReasonCode.AIGATE_LATE,)
            assert house.governor.stats().received == 0


async def test_a_mode_lost_during_the_call_ends_the_proposal() -> None:
    async with _house() as house:
        house.line.hold = anyio.Event()
        await house.propose()
        await house.inbox.send(_mode(SysMode.DEGRADE))
        await anyio.wait_all_tasks_blocked()

        house.line.hold.set()

        assert await house.ended() == (ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,)


async def test_outside_normal_the_model_is_not_asked() -> None:
    async with _house(mode=SysMode.DEGRADE) as house:
        await house.propose()

        assert await house.ended() == (ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,)
        assert house.line.calls == 0


async def test_one_symbol_has_one_call_in_flight_and_the_inbox_goes_on() -> None:
    async with _house() as house:
        house.line.hold = anyio.Event()
        await house.propose()
        await house.propose()

        assert await house.ended() == (ReasonCode.RISK_ENTRY_ALREADY_PENDING,)
        house.line.hold.set()
        await house.passed()
        assert house.line.calls == 1


async def test_a_symbol_the_model_refused_is_not_put_to_it_again_in_the_next_cycles() -> None:
    block = _content(verdict="BLOCK", reasons=["SPREAD_OPENING"])
    async with _house(*[block] * 100) as house:
        asked_s = []
        for second in range(0, 3600, 5):
            calls = house.line.calls
            await house.propose(ts_ms=house.clock.now_ms())
            reasons = await house.ended()
            if house.line.calls > calls:
                asked_s.append(second)
                assert reasons == (ReasonCode.SPREAD_OPENING, ReasonCode.AIGATE_BLOCKED)
            else:
                assert reasons == (ReasonCode.AIGATE_BLOCK_STANDS,)
            house.clock.advance(5000)

        assert asked_s == [0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330]
        assert len(house.rows()) == len(asked_s)
        assert house.governor.stats().received == 0


async def test_a_refusal_stands_in_its_regime_only_and_a_permission_ends_it() -> None:
    block = _content(verdict="BLOCK", reasons=["SPREAD_OPENING"])
    allow = _content()
    other = msgspec.structs.replace(a_snapshot().regime, label=RegimeLabel.RANGE)
    async with _house(block, allow, block) as house:
        await house.propose()
        await house.ended()
        await house.propose(regime=other)
        await house.passed()
        await house.propose()

        assert ReasonCode.AIGATE_BLOCKED in await house.ended()
        house.clock.advance(29_999)
        await house.propose(ts_ms=house.clock.now_ms())
        assert await house.ended() == (ReasonCode.AIGATE_BLOCK_STANDS,)
        house.clock.advance(1)
        await house.propose(ts_ms=house.clock.now_ms())
        await house.passed()


async def test_what_risk_refuses_anyway_is_said_before_a_refusal_that_stands() -> None:
    async with _house(_content(verdict="BLOCK", reasons=["SPREAD_OPENING"])) as house:
        await house.propose()
        await house.ended()
        house.refusals = [(ReasonCode.RISK_COOLDOWN_ACTIVE,)]
        await house.propose()

        assert await house.ended() == (ReasonCode.RISK_COOLDOWN_ACTIVE,)


async def test_the_model_is_not_asked_about_what_risk_refuses_anyway() -> None:
    refusal = (ReasonCode.RISK_MAX_TRADES_DAY, ReasonCode.STRAT_EXIT_INVALID)
    async with _house() as house:
        house.refusals = [refusal] * 100
        for _ in range(100):
            await house.propose()
            assert await house.ended() == refusal

        assert house.line.calls == 0
        assert house.rows() == []
        assert house.governor.stats().received == 0
        await house.propose()
        await house.passed()
        assert house.line.calls == 1


async def test_a_used_up_budget_does_not_matter_to_what_risk_refuses_anyway() -> None:
    async with _house(max_calls_per_hour=1, calls=(NOW_MS - 5,)) as house:
        house.refusals = [(ReasonCode.RISK_COOLDOWN_ACTIVE,)]
        await house.propose()

        assert await house.ended() == (ReasonCode.RISK_COOLDOWN_ACTIVE,)
        assert house.governor.stats().received == 0


async def test_a_proposal_that_risk_does_not_answer_for_ends_when_it_is_too_old() -> None:
    async with _house() as house:
        house.precheck = anyio.Event()
        await house.propose(ts_ms=NOW_MS - 14_950)

        assert await house.ended() == (ReasonCode.STRAT_ENTRY_ABORTED_COST,)
        assert house.line.calls == 0
        house.precheck.set()
        await anyio.wait_all_tasks_blocked()
        await house.propose()
        await house.passed()
        assert house.line.calls == 1


async def test_a_clock_set_back_does_not_make_the_gate_wait_for_risk_any_longer() -> None:
    async with _house(max_age_ms=50) as house:
        house.precheck = anyio.Event()
        await house.propose(ts_ms=NOW_MS + 3_600_000)

        assert await house.ended() == (ReasonCode.STRAT_ENTRY_ABORTED_COST,)
        house.precheck.set()


async def test_a_mode_lost_before_risk_answers_keeps_the_model_out_of_it() -> None:
    async with _house() as house:
        house.precheck = anyio.Event()
        await house.propose()
        await house.inbox.send(_mode(SysMode.PAUSE))
        await anyio.wait_all_tasks_blocked()

        house.precheck.set()

        assert await house.ended() == (ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,)
        assert house.line.calls == 0


async def test_a_used_up_budget_is_a_failure_without_a_call() -> None:
    async with _house(max_calls_per_hour=1) as house:
        await house.propose()
        await house.passed()
        await house.propose()

        assert await house.ended() == (ReasonCode.AIGATE_BUDGET,)
        assert (await house.signalled()).level is SignalLevel.PAUSE
        assert house.line.calls == 1


async def test_no_row_or_event_holds_the_answers_text_or_the_key() -> None:
    text = json.dumps({"verdict": "ALLOW", "note": "buy-the-moon"})
    async with _house(ScriptedAnswer(content=text)) as house:
        await house.propose()
        await house.ended()

    stored = msgspec.json.encode(house.audit.entries).decode()
    assert "buy-the-moon" not in stored
    assert "sk-test" not in stored


def _usage(calls: Sequence[int], failures: Sequence[int] = ()) -> GateUsage:
    usage = GateUsage()
    for at in calls:
        usage = called(usage, at)
    for at in failures:
        usage = failed(usage, at)
    return usage


@pytest.mark.parametrize(("calls", "allowed"), [(59, True), (60, False), (61, False)])
def test_the_hourly_budget_ends_at_its_limit(calls: int, allowed: bool) -> None:
    assert may_call(_usage([0] * calls), 3_599_999, GateSettings()) is allowed
    assert may_call(_usage([0] * calls), 3_600_000, GateSettings())


@pytest.mark.parametrize(("calls", "allowed"), [(499, True), (500, False), (501, False)])
def test_the_daily_budget_ends_at_its_limit(calls: int, allowed: bool) -> None:
    spread = [number * 100_000 for number in range(calls)]
    settings = GateSettings(max_calls_per_hour=500)

    assert may_call(_usage(spread), spread[-1] + 3_600_000, settings) is allowed


@pytest.mark.parametrize(
    ("ai_dec", "failures", "level"),
    [
        (2, 2, SignalLevel.DEGRADE),
        (2, 3, SignalLevel.PAUSE),
        (2, 4, SignalLevel.PAUSE),
        (1, 9, None),
    ],
)
def test_failures_degrade_until_there_are_too_many(
    ai_dec: int, failures: int, level: SignalLevel | None
) -> None:
    settings = GateSettings(ai_dec=ai_dec, pause_after_failures=3)

    assert failure_level(_usage([], range(failures)), settings) is level


def test_failures_older_than_ten_minutes_are_forgotten() -> None:
    settings = GateSettings(pause_after_failures=2)

    assert failure_level(_usage([], [0, 600_000]), settings) is SignalLevel.DEGRADE
    assert failure_level(_usage([], [1, 600_000]), settings) is SignalLevel.PAUSE


async def test_a_restart_forgets_no_call_of_the_budget() -> None:
    recent = (NOW_MS - 10_000, NOW_MS - 5_000)
    async with _house(calls=recent, max_calls_per_hour=2) as house:
        await house.propose()

        assert await house.ended() == (ReasonCode.AIGATE_BUDGET,)
    assert house.line.calls == 0


async def test_a_call_of_yesterday_is_no_longer_in_the_way() -> None:
    async with _house(calls=(NOW_MS - 86_400_001,), max_calls_per_day=1) as house:
        await house.propose()

        await house.passed()
    assert house.line.calls == 1


async def test_calls_stamped_by_a_clock_that_was_ahead_block_for_an_hour_at_most() -> None:
    ahead_ms = 10 * 86_400_000
    async with _house(calls=(NOW_MS + ahead_ms,), max_calls_per_hour=1) as house:
        await house.propose()
        assert await house.ended() == (ReasonCode.AIGATE_BUDGET,)

        house.clock.advance(3_600_000)
        await house.propose(ts_ms=house.clock.now_ms())

        await house.passed()
    assert house.line.calls == 1


@pytest.mark.parametrize(
    "said",
    [
        _content(),
        _content(verdict="BLOCK", reasons=["SPREAD_OPENING"]),
        _modify({"entry_plan": {"qty": "1.0", "fallback": {"max_slippage_bps": 3}}}),
        _modify({"entry_plan": {"qty": "9"}}),
        ScriptedAnswer(content="not json"),
        ScriptedAnswer(status=500),
    ],
    ids=["allow", "block", "modify", "refused", "garbled", "down"],
)
async def test_a_recorded_answer_says_the_same_again_without_a_model(said: ScriptedAnswer) -> None:
    async with _house(said, ai_dec=1) as first:
        await first.propose()
        once = await _told(first)

    async with _house(rows=first.rows(), ai_dec=1) as second:
        await second.propose(cycle_id="cyc_20261121_000000_000_abcdef")
        again = await _told(second)

    assert second.line.calls == 0
    assert again == once
    (was,), (now,) = first.rows(), second.rows()
    same = msgspec.structs.replace(now, cycle_id=was.cycle_id, input_hash=was.input_hash)
    assert same == was


async def _told(house: _House) -> object:
    """What went on to risk, as far as it can differ, or why nothing did."""
    with anyio.fail_after(5):
        while True:
            await anyio.sleep(0.001)
            gated, ended = house.gated.receive_nowait(), house.signal.receive_nowait()
            if gated is not None:
                return gated.decision.entry_plan, gated.gate.verdict, gated.gate.reasons
            if isinstance(ended, ProposalEnded):
                return ended.reasons


async def test_what_was_never_recorded_is_a_failure() -> None:
    async with _house(rows=(), ai_dec=1) as house:
        await house.propose()

        assert await house.ended() == (ReasonCode.AIGATE_HTTP_ERROR,)
