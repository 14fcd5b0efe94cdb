"""The ledger names why an order was declined: this one, everybody's, or an id of ours."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.actors.mutation_desk import Ending, MutationDesk
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Refused
from livespot.contracts.ids import is_accepted_client_order_id
from livespot.rules.exit_requests import SellDraft, close_mutation
from livespot.testing.audit import RecordingAudit
from livespot.testing.execution_bench import SYMBOL, a_decision, bench
from livespot.testing.ledger_rows import NOW_MS, fresh

_CLOSE = close_mutation(
    SellDraft(
        decision_id="dec_1",
        parent_intent_id="oi_entry",
        symbol=SYMBOL,
        qty=Decimal(1),
        attempt=1,
        recv_window_ms=5000,
        now_ms=NOW_MS,
    ),
    limit_price=None,
)
_WHY = "SELECT reasons FROM intent_transitions WHERE to_state = 'FAILED_TERMINAL' ORDER BY id"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(-2010, "Market is closed."), "EXCHANGE_HALTED"),
        (
            Refused(-2010, "This order type is not possible in this trading phase."),
            "EXCHANGE_HALTED",
        ),
        (Refused(-1016, "This service is no longer available."), "EXCHANGE_MAINTENANCE"),
        (Refused(-2010, "Account has insufficient balance."), "ORDER_SUBMIT_REJECTED"),
    ],
)
async def test_a_refusal_is_recorded_under_its_own_code(
    tmp_path: Path, error: Refused, code: str
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [error]
        await b.approve(a_decision())

        assert [msgspec.json.decode(text) for (text,) in b.rows(_WHY)] == [[code]]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("X_SWWQKQE4ELXHMCENAY5UFXB7QY2DKW6DSV", True),
        ("a-B_9", True),
        ("", False),
        ("X" * 37, False),
        ("a b", False),
        ("ä", False),
        ("x\n", False),
    ],
)
def test_an_id_fits_the_exchange_or_does_not(text: str, accepted: bool) -> None:
    assert is_accepted_client_order_id(text) is accepted


async def test_an_id_the_exchange_would_refuse_is_not_sent(tmp_path: Path) -> None:
    [alias, *others] = _CLOSE.aliases
    odd = msgspec.structs.replace(alias, client_order_id="two words")
    async with bench(fresh(tmp_path)) as b:
        desk = MutationDesk(replace(b.actor, audit=RecordingAudit()), {})

        outcome = await desk.send(
            msgspec.structs.replace(_CLOSE, aliases=(odd, *others)), created=lambda: None
        )

        assert outcome.ending is Ending.BLOCKED
        assert outcome.reason is ReasonCode.CLIENT_ORDER_ID_INVALID
        assert b.venue.sent == []
