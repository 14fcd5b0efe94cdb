"""Whether an earlier run was banned: then the doctor may not ask the exchange either."""

import msgspec

from livespot.actors.limits_keeper import KeptSilence
from livespot.contracts.errors import LivespotError
from livespot.contracts.vocabulary import EventType
from livespot.runtime.doctor_plan import DoctorPlan
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase

_SILENCE = msgspec.json.Decoder(KeptSilence)


async def ban_left_ms(plan: DoctorPlan) -> int:
    """Return how many ms of the last run's ban are left; 0 without one.

    An unreadable database gives 0: it has rows of its own.
    """
    database = plan.paths.database
    if not plan.disk.exists(database):
        return 0
    ledger = LedgerQueries(ReadOnlyDatabase(database))
    try:
        kept = await ledger.latest_event_data(EventType.RATE_LIMIT)
    except LivespotError:
        return 0
    if kept is None:
        return 0
    silence = _SILENCE.decode(kept)
    return max(0, silence.bans.banned_until_ms - plan.clock.now_ms() - silence.offset_ms)
