"""Finds the recorded run that a command means: the last one, or by the beginning of its id."""

from livespot.contracts.errors import PreflightFailed
from livespot.store.reader import Reader

LAST = "LAST"


async def chosen_run(reader: Reader, wanted: str) -> str:
    """Return the id of a recorded run. Raises `PreflightFailed` for none or several matches."""
    known = [str(row[0]) for row in await reader.rows("SELECT run_id FROM runs ORDER BY rowid")]
    if not known:
        raise PreflightFailed("no run is recorded here yet.\nNext: livespot sim --for 3m")
    if wanted.upper() == LAST:
        return known[-1]
    found = [run_id for run_id in known if run_id.startswith(wanted)]
    if len(found) == 1 or wanted in found:
        return wanted if wanted in found else found[0]
    if not found:
        raise PreflightFailed(
            f"no run {wanted!r} is recorded here.\nNext: livespot report --list names them all"
        )
    raise PreflightFailed(f"{wanted!r} is the beginning of several runs: {', '.join(found[:5])}")
