"""Whatever a control file says of an own position, what is kept of it can be stored."""

import re
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.records import ManualExposureRow
from livespot.contracts.system import OperatorCommand
from livespot.contracts.vocabulary import OperatorAction, Side
from livespot.rules.manual_exposure import is_exposed, obeyed
from livespot.store.sql import money

_COMMANDS = st.builds(
    OperatorCommand,
    action=st.sampled_from([OperatorAction.EXPOSURE_OPEN, OperatorAction.EXPOSURE_CLOSE]),
    reason=st.text(max_size=9),
    nonce=st.text(min_size=1, max_size=9),
    at_ms=st.just(5),
    symbol=st.sampled_from(["", "SOLUSDT", "BTCUSDT"]),
    side=st.sampled_from([None, *Side]),
    qty=st.decimals(),
    exposure_id=st.sampled_from(["", "exp_1", "exp_2"]),
)


@given(st.lists(_COMMANDS, max_size=12))
def test_every_command_ends_in_a_row_that_can_be_stored_or_in_a_refusal(
    commands: list[OperatorCommand],
) -> None:
    kept: dict[str, ManualExposureRow] = {}
    for command in commands:
        row, outcome = obeyed(command, kept, 7)
        assert outcome.startswith("refused: " if row is None else "done: ")
        if row is None:
            continue
        assert re.fullmatch(r"[0-9.]+", money(row.qty))
        assert row.symbol
        if row.closed_at_ms:
            del kept[row.exposure_id]
        else:
            kept[row.exposure_id] = row
            assert is_exposed(kept, row.symbol)
    assert all(Decimal(0) < row.qty for row in kept.values())
