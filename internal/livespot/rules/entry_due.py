"""When an entry next has to be ticked; an earlier tick changes nothing."""

from livespot.contracts.settings import EntrySettings
from livespot.rules.due import NEVER
from livespot.rules.entry_moves import QUERY_INTERVAL_MS
from livespot.rules.entry_state import EntryState, Phase


def due_ms(state: EntryState, settings: EntrySettings) -> int:
    """The monotonic ms from which on `advance` acts on a `Ticked`, or `NEVER`."""
    match state.phase:
        case Phase.WORKING if state.protectable_ms:
            return state.protectable_ms + settings.partial_fill_grace_ms
        case Phase.WORKING:
            return state.placed_ms + state.plan.ttl_ms
        case Phase.CANCELLING:
            return state.next_ms or NEVER
        case Phase.QUERYING:
            return min(state.next_ms, state.recancel_ms or NEVER)
        case Phase.IDLE:
            return state.next_ms
        case Phase.UNRESOLVED | Phase.LINGERING if state.old is not None and not state.old.over:
            return state.old.asked_ms + QUERY_INTERVAL_MS
        case _:
            return NEVER
