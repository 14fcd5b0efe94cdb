"""Whether an earlier run was banned: then not even a doctor may ask the exchange."""

import msgspec

from livespot.actors.limits_keeper import KeptSilence
from livespot.contracts.errors import LivespotError
from livespot.contracts.vocabulary import EventType
from livespot.runtime.doctor_plan import DoctorPlan
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase

_SILENCE = msgspec.json.Decoder(KeptSilence)


async def ban_left_ms(plan: DoctorPlan) -> int:
    """How long the last run's ban still lasts; 0 without one.

    A database that cannot be read has rows of its own and forbids nothing here.
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
