"""Groups rows into as few database calls as possible without changing their order."""

from collections.abc import Callable, Sequence

from livespot.contracts.chain import SealedEvent
from livespot.contracts.redaction import Redactor
from livespot.store.sql import SqlValue, Statement
from livespot.store.statements import ALERT, StoreRow, statements_of

Batch = tuple[str, list[tuple[SqlValue, ...]]]

PRAGMAS = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
)


def batches_of(rows: Sequence[StoreRow], run_id: str, redactor: Redactor) -> list[Batch]:
    """Return the events as one batch, then the other rows in order, equal statements together.

    Secret values are masked in every text. The text of an alert may quote any source, so it gets
    the full filter that an event's data gets.
    """
    statements: list[Statement] = []
    later: list[Statement] = []
    for row in rows:
        (statements if isinstance(row, SealedEvent) else later).extend(statements_of(row, run_id))
    statements.extend(later)
    batches: list[Batch] = []
    for sql, values in statements:
        if not batches or batches[-1][0] != sql:
            batches.append((sql, []))
        batches[-1][1].append(_masked(values, redactor.text if sql == ALERT else redactor.values))
    return batches


def _masked(values: tuple[SqlValue, ...], mask: Callable[[str], str]) -> tuple[SqlValue, ...]:
    return tuple(mask(item) if isinstance(item, str) else item for item in values)
