"""While a ban lasts the doctor asks the exchange nothing."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from livespot.rules.doctor import Outcome
from livespot.runtime.doctor import examine
from livespot.runtime.doctor_ban import ban_left_ms
from livespot.runtime.doctor_plan import Need
from livespot.store.migrate import migrate
from livespot.testing.clock import ManualClock
from livespot.testing.doctor_plans import doctor_plan
from livespot.testing.scripted_http import ScriptedHttp

_NOW_MS = 1_700_000_000_000
_OFFSET_MS = -5_000


def _remember(database: Path, data: str) -> None:
    """The event of a run that was told to be silent."""
    database.parent.mkdir(parents=True, exist_ok=True)
    if not database.exists():
        migrate(database, backup_dir=database.parent, now_ms=_NOW_MS)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO audit_events VALUES (1, 'run_1', 1, ?, '', 'LIVE', 'STATE_UPDATE', "
            "'RATE_LIMIT', '[]', '', '', '', '', 0, 0, ?, '', ?)",
            (_NOW_MS, data, "0" * 64),
        )


def _ban(until_ms: int) -> str:
    return f'{{"bans":{{"banned_until_ms":{until_ms}}},"offset_ms":{_OFFSET_MS}}}'


@pytest.mark.parametrize(("left_ms", "expected"), [(90_000, 90_000), (0, 0), (-1, 0)])
async def test_the_rest_of_a_ban_is_counted_in_the_exchanges_time(
    tmp_path: Path, left_ms: int, expected: int
) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        _remember(plan.paths.database, _ban(_NOW_MS + _OFFSET_MS + left_ms))

        assert await ban_left_ms(replace(plan, clock=ManualClock(_NOW_MS))) == expected


async def test_a_banned_doctor_sends_nothing_and_says_why(tmp_path: Path) -> None:
    http = ScriptedHttp()
    async with doctor_plan(tmp_path / "var") as plan:
        _remember(plan.paths.database, _ban(_NOW_MS + _OFFSET_MS + 90_000))
        asked = replace(
            plan,
            clock=ManualClock(_NOW_MS),
            http=http,
            needs=frozenset({Need.NETWORK, Need.ACCOUNT}),
        )
        rows = await examine(asked)

    assert http.asked == []
    assert {row.outcome for row in rows} == {Outcome.FAIL}
    assert {row.detail for row in rows} == {
        "the exchange has banned this address (418) for 91 s more"
    }


async def test_without_a_database_nothing_forbids_asking(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        plan.paths.database.unlink(missing_ok=True)

        assert await ban_left_ms(plan) == 0
