"""The checks look at the records of weeks: none goes through them again for each thing it finds."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace as changed

from livespot.evidence.findings import Finding
from livespot.evidence.rows import TransitionFact
from livespot.exchange.faults.plan import Fault, Match, Reset, When
from livespot.exchange.journal import FillRow, ModeRow, OrderRow, Row
from livespot.runtime.simulation_journal import rows_of
from livespot.testing.search.judging import judge
from livespot.testing.search.protection_checks import protection_only_tightens
from livespot.testing.search.witness import Witness

_FEW, _MANY = 20, 60


class _Counted(tuple[Any, ...]):
    """Counts how many of its elements were looked at, one after the other or in a slice."""

    __slots__ = ()
    looked_at = 0

    def __iter__(self) -> Iterator[Any]:
        _Counted.looked_at += len(self)
        return super().__iter__()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            _Counted.looked_at += len(range(*index.indices(len(self))))
        return super().__getitem__(index)


def _longer(witness: Witness, number: int) -> Witness:
    """So many more reads, calls by the socket, cancels, turns of a fault and denials, at its end.

    Each cancel ends an order of its own.
    """
    at_ms = witness.lives[-1].over_ms - 60_000
    order = next(row for row in witness.rows if isinstance(row, OrderRow) and row.t_end)
    request = next(row for _, row in witness.requests() if row.method == "GET" and row.delivered)
    symbol = {"symbol": order.sym}
    added: list[Row] = []
    for n in range(number):
        now_ms = at_ms + 100 * n
        stamped = changed(request, t_arrive=now_ms, t_reply=now_ms, t_first_byte=now_ms, fault="")
        added += [
            changed(order, oid=order.oid + 100 + n),
            changed(stamped, method="DELETE", path="/api/v3/order", params=symbol),
            changed(stamped, path="/api/v3/openOrders", params=symbol),
            changed(stamped, method="WS", path="time", params={}),
            ModeRow(t_ms=now_ms, fault="cut", verb="net.reset", event="fire", fired=n),
        ]
    rows = (*witness.rows, *added)
    intent = witness.facts.intents[0]
    denial = TransitionFact(
        id=10_000,
        order_intent_id=intent.order_intent_id,
        run_id=intent.run_id,
        from_state="SENT_UNKNOWN",
        to_state="NOT_FOUND",
        reasons=(),
        evidence="",
        at_ms=at_ms,
    )
    transitions = (*witness.facts.transitions, *([denial] * number))
    fault = Fault(id="cut", what=Reset(target="ws_user"), match=Match(), when=When())
    return replace(
        witness,
        plan=changed(witness.plan, faults=(fault,)),
        facts=changed(witness.facts, transitions=transitions),
        rows=_Counted(rows),
        offsets=(*witness.offsets, *([0] * len(added))),
        journal=rows_of("planted", rows),
    )


def _rounds(witness: Witness) -> tuple[float, tuple[Finding, ...]]:
    """How often the journal was gone through, and what was found."""
    object.__setattr__(witness, "_requests", _Counted(witness.requests()))
    _Counted.looked_at = 0
    findings = judge(witness)
    return _Counted.looked_at / len(witness.rows), findings


@pytest.mark.slow
def test_the_checks_go_through_a_longer_journal_no_more_often(witness: Witness) -> None:
    few, _ = _rounds(_longer(witness, _FEW))
    many, findings = _rounds(_longer(witness, _MANY))

    looked_at = {finding.id: finding.looked_at for finding in findings}
    assert looked_at["I06"] == _MANY
    assert looked_at["I07b"] >= _MANY
    assert many < few + 10


def _traded(witness: Witness, rounds: int, last_stop: str, *, worth: int) -> Witness:
    """Positions one after the other, each sold but for a thousandth that went to the fee.

    Each is bought for `worth` quote. Their stops fall from one to the next; within the last one it
    is `last_stop` that follows.
    """
    stop = next(
        row for row in witness.rows if isinstance(row, OrderRow) and row.type.startswith("STOP")
    )
    fill = next(row for row in witness.rows if isinstance(row, FillRow) and row.cid)
    qty, price = worth / fill.px, fill.px
    base = fill.sym.removesuffix(witness.facts.quote_asset)
    rows: list[Row] = []
    for n in range(rounds):
        level = changed(
            stop, oid=9000 + n, list_cid="", status="NEW", stop=price * (900 - n) / 1000
        )
        rows += [
            changed(fill, side="BUY", qty=qty, fee=qty / 1000, fee_asset=base),
            level,
            *([changed(level, oid=99, stop=Decimal(last_stop))] if n == rounds - 1 else []),
            changed(fill, side="SELL", qty=qty * 999 / 1000, fee_asset="BNB"),
        ]
    return replace(witness, rows=tuple(rows), offsets=(0,) * len(rows))


@pytest.mark.parametrize("worth", [1000, 100_000])
def test_what_fees_leave_of_many_positions_is_not_taken_for_one_that_is_held(
    witness: Witness, worth: int
) -> None:
    many = _traded(witness, 30, "1000000", worth=worth)
    lowered = _traded(witness, 30, "0.001", worth=worth)

    assert not protection_only_tightens(many).violated
    assert "a stop at 0.001 after one at" in protection_only_tightens(lowered).detail
