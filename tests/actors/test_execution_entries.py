"""Entries through the execution actor: written ahead, sent once, never two at a time."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.actors.mail import EntryEnded, EntryOpened, FillBooked, Marks, ProposalEnded
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import AIGateResult
from livespot.contracts.errors import NotSent
from livespot.contracts.orders import CancelRequest, ListRequest, OrderRequest, OrderUpdate
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import GateVerdict, ListKind, SignalLevel, SysMode
from livespot.testing.execution_bench import a_decision, an_approval, bench
from livespot.testing.ledger_rows import fresh
from livespot.testing.scripted_venue import DROP_ANSWER, DROP_REQUEST, refused

CROSSES = refused(-2010, "Order would immediately match and take.")


async def test_an_entry_is_sent_unknown_on_disk_before_its_first_byte(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())

        assert b.states_at_send == ["SENT_UNKNOWN"]
        assert b.states("ENTRY") == ["CONFIRMED"]
        request = b.venue.sent[0]
        assert isinstance(request, ListRequest)
        assert request.kind is ListKind.OPOCO
        assert len(b.heard(b.actor.risk, EntryOpened)) == 1


async def test_a_filled_attached_entry_names_the_list_that_should_stand(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        order = b.venue.working_buys()[0]
        b.venue.fill(order.order_id, str(order.orig_qty))

        await b.stream(order.order_id)

        (ended,) = b.heard(b.actor.position, EntryEnded)
        assert ended.filled_qty == order.orig_qty
        assert ended.attached_list_id == order.order_list_id
        assert ended.tp_client_id
        assert ended.sl_client_id
        assert len(b.heard(b.actor.position, FillBooked)) == 1


async def test_a_gate_that_closed_in_between_stops_the_entry_unsent(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.actor.inbox.send(an_approval(b))
        b.gate.set(SysMode.DEGRADE)
        await b.settle()

        assert b.venue.sent == []
        (ended,) = b.heard(b.actor.risk, EntryEnded)
        assert ended.reasons == (ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,)


async def test_a_stale_verdict_is_void(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        message = an_approval(b)
        b.clock.step(15_100)
        await b.tell(message)

        assert b.venue.sent == []


async def test_an_ended_entry_is_reported_under_the_id_the_signal_actor_knows(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        message = an_approval(b)
        gate = AIGateResult(
            enabled=True,
            verdict=GateVerdict.MODIFY,
            reasons=(ReasonCode.AIGATE_MODIFIED,),
            model="m",
            latency_ms=1,
            input_hash="i",
            raw_hash="r",
            prompt_hash="p",
            modify_applied=True,
            original_decision_id="dec_before_the_gate",
        )
        shrunk = msgspec.structs.replace(message.decision, ai_gate=gate)
        b.clock.step(15_100)
        await b.tell(msgspec.structs.replace(message, decision=shrunk))

        (ended,) = b.heard(b.actor.signal, ProposalEnded)
        assert ended.decision_id == "dec_before_the_gate"


async def test_a_lost_answer_is_found_and_never_sent_again(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_ANSWER]

        await b.approve(a_decision())
        await b.advance(200)

        placed = [r for r in b.venue.sent if isinstance(r, ListRequest)]
        assert len(placed) == 1
        assert b.states("ENTRY") == ["CONFIRMED"]


async def test_a_request_that_never_arrived_is_denied_only_behind_the_fence(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_REQUEST]
        await b.approve(a_decision())
        await b.advance(3000)
        degrades = [s for s in b.heard(b.actor.governor, HealthSignal) if s.level != "CLEAR"]
        assert [s.level for s in degrades] == [SignalLevel.DEGRADE]

        b.clock.step(78_000)
        await b.settle()
        assert b.states("ENTRY") == ["SENT_UNKNOWN"]

        b.clock.step(20_000)
        b.venue.traded_until_ms = b.clock.now_ms() - 60_000
        await b.advance(15_000)

        assert b.states("ENTRY") == ["NOT_FOUND"]
        assert len([r for r in b.venue.sent if isinstance(r, ListRequest)]) == 1
        (ended,) = b.heard(b.actor.risk, EntryEnded)
        assert ended.reasons == (ReasonCode.INTENT_NOT_FOUND_BY_REST,)


async def test_without_proof_of_the_engines_progress_absence_stays_unproven(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_REQUEST]
        await b.approve(a_decision())
        b.clock.step(300_000)
        await b.advance(10_000)

        assert b.states("ENTRY") == ["SENT_UNKNOWN"]


async def test_a_connection_that_failed_settles_the_intent_at_once(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [NotSent("connect")]

        await b.approve(a_decision())

        assert b.states("ENTRY") == ["FAILED_TERMINAL"]
        assert len(b.heard(b.actor.risk, EntryEnded)) == 1


async def test_an_unfilled_entry_is_cancelled_then_repriced_under_a_new_id(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())

        await b.advance(30_200)

        cancel, second = b.venue.sent[1], b.venue.sent[2]
        assert isinstance(cancel, CancelRequest)
        assert cancel.only_new
        assert cancel.order_id == 100
        assert isinstance(second, ListRequest)
        assert len(b.venue.working_buys()) == 1
        assert len({_client_id(r) for r in b.venue.sent}) == 3
        assert set(b.states_at_send) == {"SENT_UNKNOWN"}


async def test_the_last_attempt_falls_back_to_an_immediate_order(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())

        await b.advance(92_000)

        last = b.venue.sent[-1]
        assert isinstance(last, OrderRequest)
        assert last.time_in_force == "IOC"
        assert b.reasons_of("SNAPSHOT_BUILT")[-1] == ["STRAT_FALLBACK_IOC"]
        assert len(b.heard(b.actor.risk, EntryEnded)) == 1
        assert b.venue.working_buys() == []


async def test_a_post_only_refusal_counts_as_an_attempt(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [CROSSES, CROSSES, CROSSES]

        await b.approve(a_decision())
        await b.advance(5000)

        assert b.states("ENTRY")[:3] == ["FAILED_TERMINAL"] * 3
        assert len([r for r in b.venue.sent if isinstance(r, ListRequest)]) == 3


async def test_a_lost_cancel_is_repeated_by_order_id_and_nothing_is_placed(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.venue.script = [DROP_REQUEST] * 5
        await b.advance(36_000)

        cancels = [r for r in b.venue.sent if isinstance(r, CancelRequest)]
        assert len(cancels) == 5
        assert {c.order_id for c in cancels} == {100}
        assert len({c.client_order_id for c in cancels}) == 5
        assert len([r for r in b.venue.sent if isinstance(r, ListRequest)]) == 1
        signals = b.heard(b.actor.governor, HealthSignal)
        assert SignalLevel.DEGRADE in [s.level for s in signals]


async def test_a_cancel_that_hit_without_an_answer_ends_the_entry(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.venue.script = [DROP_ANSWER]
        await b.advance(34_000)

        assert len([r for r in b.venue.sent if isinstance(r, ListRequest)]) == 1
        assert len(b.heard(b.actor.risk, EntryEnded)) == 1
        assert b.states("CANCEL")[0] == "CONFIRMED"


async def test_a_partial_fill_seen_by_the_cancel_alone_is_booked_and_kept(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.venue.fill(100, "1")

        await b.advance(36_000)

        (ended,) = b.heard(b.actor.position, EntryEnded)
        assert ended.filled_qty == 1
        assert ended.attached_list_id == -1
        assert len(b.heard(b.actor.position, FillBooked)) == 1
        assert len([r for r in b.venue.sent if isinstance(r, ListRequest)]) == 1


async def test_a_protectable_partial_fill_gets_its_grace_then_loses_its_remainder(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.venue.fill(100, "1")
        await b.stream(100)
        await b.advance(1000)
        assert len(b.venue.sent) == 1

        await b.advance(1000)

        cancel = b.venue.sent[1]
        assert isinstance(cancel, CancelRequest)
        assert not cancel.only_new


@pytest.mark.parametrize(
    ("part", "worth_a_stop"),
    [
        pytest.param("0.060", True, id="a stop would be taken, though a sixtieth is lost"),
        pytest.param("0.050", False, id="no stop would be taken"),
    ],
)
async def test_the_grace_of_a_small_part_begins_when_a_stop_for_it_would_be_taken(
    tmp_path: Path,
    part: str,
    worth_a_stop: bool,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.venue.fill(100, part)
        await b.stream(100)
        await b.advance(1400)
        early = b.venue.sent[1:]
        await b.advance(400)

        sent = b.venue.sent[1:]

        assert early == []
        assert any(isinstance(r, CancelRequest) for r in sent) is worth_a_stop


async def test_losing_normal_cancels_the_working_entry(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.gate.set(SysMode.DEGRADE)

        await b.advance(200)

        assert b.venue.working_buys() == []
        (ended,) = b.heard(b.actor.risk, EntryEnded)
        assert ended.reasons == (ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,)


async def test_a_second_approval_of_the_same_decision_sends_nothing(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        decision = a_decision()
        await b.approve(decision)
        order = b.venue.working_buys()[0]
        b.venue.fill(order.order_id, str(order.orig_qty))
        await b.stream(order.order_id)
        b.heard(b.actor.risk, EntryEnded)

        await b.approve(decision)

        assert len(b.venue.sent) == 1
        (ended,) = b.heard(b.actor.risk, EntryEnded)
        assert ended.reasons == (ReasonCode.CLIENT_ORDER_ID_REUSE_BLOCK,)
        assert ended.filled_qty == 0


async def test_a_list_that_says_nothing_new_is_not_audited_again(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        (request,) = (r for r in b.venue.sent if isinstance(r, ListRequest))
        view = await b.venue.order_list(list_client_order_id=request.list_client_order_id)
        await b.tell(view)
        audited = "SELECT count(*) FROM audit_events WHERE event_type = 'ORDER_UPDATE'"
        before = b.rows(audited)
        await b.tell(view)

        assert b.rows(audited) == before


async def test_a_fee_in_a_third_asset_is_booked_at_the_price_told_of_it(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        prices = {"BNBUSDT": Decimal(600)}
        await b.tell(Marks(bids=prices, asks={}, at_ms=b.clock.now_ms()))
        await b.approve(a_decision())
        b.venue.fill(100, "1")
        update = b.venue.update(100, "STREAM", with_fills=True)
        paid = {"commission": Decimal("0.001"), "commission_asset": "BNB"}
        fills = tuple(msgspec.structs.replace(fill, **paid) for fill in update.fills)

        await b.tell(OrderUpdate(order=update.order, fills=fills, source="STREAM"))

        (booked,) = b.heard(b.actor.risk, FillBooked)
        assert (booked.fee_quote, booked.fee_unpriced) == (Decimal("0.6"), False)


async def test_the_same_fill_arriving_three_times_is_booked_once(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        order = b.venue.working_buys()[0]
        b.venue.fill(order.order_id, str(order.orig_qty))

        for _ in range(3):
            await b.stream(order.order_id)

        assert len(b.heard(b.actor.position, FillBooked)) == 1
        assert b.rows("SELECT count(*) FROM fills") == [(1,)]


@pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007, -1008])
async def test_a_code_that_says_unknown_is_never_a_failure(tmp_path: Path, code: int) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [refused(code, "unknown")]

        await b.approve(a_decision())

        assert b.states("ENTRY") == ["SENT_UNKNOWN"]


def _client_id(request: object) -> str:
    if isinstance(request, ListRequest):
        return request.list_client_order_id
    assert isinstance(request, OrderRequest | CancelRequest)
    return request.client_order_id
