"""Converts rows of the fill and position tables into messages."""

from decimal import Decimal

import msgspec

from livespot.contracts.orders import Fill, Position
from livespot.contracts.queries import StoredFill
from livespot.store.reader import Row

_FILL_FIELDS = tuple(field.name for field in msgspec.structs.fields(Fill))
_POSITION_FIELDS = tuple(field.name for field in msgspec.structs.fields(Position))
# Complete these with a condition and an order.
SELECT_FILLS = (
    f"SELECT {', '.join(_FILL_FIELDS)}, order_intent_id, decision_id, fee_quote, fee_unpriced "  # noqa: S608
    "FROM fills "
)
SELECT_POSITIONS = f"SELECT {', '.join(_POSITION_FIELDS)} FROM positions "  # noqa: S608


def stored_fill(row: Row) -> StoredFill:
    """Convert a row of `SELECT_FILLS`."""
    fill = msgspec.convert(dict(zip(_FILL_FIELDS, row[:-4], strict=True)), Fill, strict=False)
    return StoredFill(
        fill=fill,
        order_intent_id=row[-4],
        decision_id=row[-3],
        fee_quote=Decimal(row[-2]),
        fee_unpriced=bool(row[-1]),
    )


def stored_position(row: Row) -> Position:
    """Convert a row of `SELECT_POSITIONS`."""
    return msgspec.convert(dict(zip(_POSITION_FIELDS, row, strict=True)), Position, strict=False)
