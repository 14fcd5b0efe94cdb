"""Finds from a running life's records whether everything has been settled for a while."""

from dataclasses import dataclass, field

from livespot.store.inline import InlineReader
from livespot.store.reader import Row

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
    """Called with the milliseconds of the run that are over and the life's own records.

    A run is settled in NORMAL or PAUSE when nothing is open and nothing about orders, positions and
    mode has changed for `quiet_ms`, all of it after `healed_ms`; in NORMAL a cycle must have begun
    since. The program's own clock is not consulted.
    """

    healed_ms: int
    quiet_ms: int
    _changes: tuple[object, ...] = ()
    _since_ms: int = -1
    _cycle: list[Row] = field(default_factory=list)

    def is_over(self, over_ms: int, records: InlineReader) -> bool:
        """Whether it has been settled for long enough. Raises `StoreBusy`, `AuditUnwritable`."""
        if over_ms < self.healed_ms:
            return False
        mode = "".join(name for (name,) in records.ask(_MODE))
        ((still_open,),) = records.ask(_OPEN)
        changes = (mode, *records.ask(_CHANGES)[0])
        cycle = records.ask(_CYCLE)
        if still_open or mode not in _AT_REST or changes != self._changes or self._since_ms < 0:
            self._changes, self._cycle = changes, cycle
            self._since_ms = -1 if still_open or mode not in _AT_REST else over_ms
            return False
        works = mode == "PAUSE" or cycle != self._cycle
        return works and over_ms - self._since_ms >= self.quiet_ms
