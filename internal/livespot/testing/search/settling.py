"""Sees from the records of a running life that everything has been settled for a while."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

# In doubt, under way, unprotected, working: whatever is not zero here may still need its time.
_OPEN = """
SELECT (SELECT count(*) FROM order_intents WHERE state IN ('CREATED', 'SENT_UNKNOWN'))
     + (SELECT count(*) FROM positions WHERE phase IN ('OPENING', 'UNPROTECTED', 'CLOSING'))
     + (SELECT count(*) FROM orders WHERE status = 'UNKNOWN'
        OR (side = 'BUY' AND status IN ('NEW', 'PENDING_NEW', 'PARTIALLY_FILLED')))
"""
_CHANGES = """
SELECT (SELECT max(id) FROM sysmodes), (SELECT max(id) FROM intent_transitions),
       (SELECT count(*) FROM order_intents), (SELECT count(*) FROM fills),
       (SELECT group_concat(order_id || status || executed_qty) FROM orders),
       (SELECT group_concat(position_id || phase || qty) FROM positions)
"""
_MODE = "SELECT mode FROM sysmodes ORDER BY id DESC LIMIT 1"
_CYCLE = "SELECT cycle_id FROM audit_events WHERE cycle_id <> '' ORDER BY id DESC LIMIT 1"
_AT_REST = ("NORMAL", "PAUSE")


@dataclass(slots=True, kw_only=True)
class Settling:
    """Asked now and then how many milliseconds of the run are over; keeps no file open.

    Settled is a run in NORMAL or PAUSE in which nothing is open, nothing of orders, positions and
    mode has changed for `quiet_ms`, all of it after `healed_ms`, and in NORMAL a cycle has begun
    since. The program's own clock has no say.
    """

    database: Path
    healed_ms: int
    quiet_ms: int
    _changes: tuple[object, ...] = ()
    _since_ms: int = -1
    _cycle: tuple[object, ...] | None = field(default=None)

    def is_over(self, over_ms: int) -> bool:
        """Whether it has been settled for long enough. Raises `sqlite3.Error`."""
        if over_ms < self.healed_ms:
            return False
        uri = f"{self.database.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as records:
            (mode,) = records.execute(_MODE).fetchone() or ("",)
            (still_open,) = records.execute(_OPEN).fetchone()
            changes = (mode, *records.execute(_CHANGES).fetchone())
            cycle = records.execute(_CYCLE).fetchone()
        if still_open or mode not in _AT_REST or changes != self._changes or self._since_ms < 0:
            self._changes, self._cycle = changes, cycle
            self._since_ms = -1 if still_open or mode not in _AT_REST else over_ms
            return False
        works = mode == "PAUSE" or cycle != self._cycle
        return works and over_ms - self._since_ms >= self.quiet_ms
