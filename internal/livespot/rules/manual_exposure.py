"""What an operator command makes of the open positions that were taken by hand."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from livespot.contracts.records import ManualExposureRow
from livespot.contracts.system import OperatorCommand
from livespot.contracts.vocabulary import OperatorAction

_TOO_MUCH = Decimal(10) ** 15
_DECIMALS = 8

OpenExposures = Mapping[str, ManualExposureRow]
"""By exposure id."""


def is_exposed(exposures: OpenExposures, symbol: str) -> bool:
    """Whether the operator holds an open position of their own in the symbol."""
    return any(row.symbol == symbol for row in exposures.values())


def obeyed(
    command: OperatorCommand, exposures: OpenExposures, now_ms: int
) -> tuple[ManualExposureRow | None, str]:
    """The row to store and the outcome for the audit; no row when the command is refused."""
    if not command.reason.strip():
        return None, "refused: a manual exposure needs a reason"
    if command.action is OperatorAction.EXPOSURE_CLOSE:
        return _closed(command, exposures, now_ms)
    if not command.symbol or command.side is None or not is_amount(command.qty):
        return None, "refused: a manual exposure needs a symbol, a side and an amount"
    row = ManualExposureRow(
        exposure_id=f"exp_{command.nonce}",
        symbol=command.symbol,
        side=command.side,
        qty=command.qty,
        note=command.reason,
        opened_at_ms=now_ms,
    )
    return row, f"done: {row.exposure_id} is open, {row.symbol} takes no entries"


def is_amount(qty: Decimal) -> bool:
    """A finite amount above zero that is short enough when written out."""
    return qty.is_finite() and 0 < qty < _TOO_MUCH and qty == round(qty, _DECIMALS)


def _closed(
    command: OperatorCommand, exposures: OpenExposures, now_ms: int
) -> tuple[ManualExposureRow | None, str]:
    row = exposures.get(command.exposure_id)
    if row is None:
        return None, f"refused: there is no open exposure {command.exposure_id or 'without an id'}"
    others = {key: other for key, other in exposures.items() if key != row.exposure_id}
    left = is_exposed(others, row.symbol)
    entries = "another one still blocks its entries" if left else "entries are judged as usual"
    closed = msgspec.structs.replace(row, closed_at_ms=now_ms, close_note=command.reason)
    return closed, f"done: {row.exposure_id} is closed, {row.symbol}: {entries}"
