"""Reads the dashboard of a state directory, whether or not a process runs there."""

from livespot.panel.dashboard import Dashboard
from livespot.panel.database import PanelDatabase, opened
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.panel.survival_queries import SurvivalCount
from livespot.panel.system_queries import last_event_ms
from livespot.runtime.clock import SystemClock
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths


async def read_standing(
    paths: Paths, database: PanelDatabase, survival: SurvivalCount
) -> Dashboard:
    """Return a snapshot at the run's own time: its last event plus the time since it was written.

    Raises `PanelUnreadable`.
    """
    disk = RealDisk()
    running = disk.is_locked(paths.lock)
    wal = paths.database.with_name(paths.database.name + "-wal")
    written = [disk.modified_ms(path) for path in (paths.database, wal) if disk.exists(path)]
    silent_ms = max(0, SystemClock().now_ms() - max(written, default=0))
    last_ms = await last_event_ms(database)
    now_ms = last_ms + silent_ms if running else last_ms
    return await read_dashboard(
        database,
        Vantage(
            now_ms=now_ms,
            running=running,
            silent_ms=silent_ms,
            survival=await survival.lately(database, now_ms),
        ),
    )


async def standing(paths: Paths, survival: SurvivalCount | None = None) -> Dashboard:
    """Like `read_standing`, over a connection of its own. Raises `PanelUnreadable`.

    A caller that asks repeatedly passes the same `survival`, which is counted once a minute.
    """
    async with opened(paths.database) as database:
        return await read_standing(paths, database, survival or SurvivalCount(SystemClock()))
