"""The first difference of two replays is found, wherever it is, and named."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from livespot.runtime.paths import Paths
from livespot.runtime.replay_difference import first_difference


def _left(var: Path, *, data: object, level: str = "WARN", fills: int = 2) -> Paths:
    """What a replay of three events leaves behind."""
    paths = Paths(var=var)
    paths.database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(paths.database)) as connection, connection:
        connection.execute(
            "CREATE TABLE audit_events (id INTEGER PRIMARY KEY, seq INT, event_type TEXT, "
            "symbol TEXT, hash TEXT, data TEXT)"
        )
        connection.execute("CREATE TABLE alerts (code TEXT PRIMARY KEY, level TEXT) WITHOUT ROWID")
        connection.executemany(
            "INSERT INTO audit_events VALUES (?, ?, 'FILL_BOOKED', 'SOLUSDT', ?, ?)",
            [
                (1, 1, "aa", "{}"),
                (2, 2, str(hash(json.dumps(data))), json.dumps({"a": 1, "deep": data})),
                (3, 3, "cc", "{}"),
            ],
        )
        connection.execute("INSERT INTO alerts VALUES ('X', ?)", (level,))
    lines = [json.dumps({"type": "fill", "t_ms": n}) for n in range(fills)]
    paths.exchange_journal.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        (
            {"data": {"qty": "2"}},
            "event 2 (2 FILL_BOOKED SOLUSDT), data.deep.qty: 1 and 2",
        ),
        ({"level": "CRIT"}, "table alerts, row 1, level: WARN and CRIT"),
        ({"fills": 3}, "exchange journal, line 3: only one of the two has it"),
        ({"data": {"qty": "2"}, "fills": 3}, "event 2 (2 FILL_BOOKED SOLUSDT), data.deep.qty"),
    ],
    ids=["alike", "event", "table", "journal", "event before journal"],
)
def test_two_replays_are_alike_or_part_at_a_named_place(
    tmp_path: Path, change: dict[str, object], said: str | None
) -> None:
    usual: dict[str, object] = {"data": {"qty": "1"}}
    one = _left(tmp_path / "one", **usual)  # type: ignore[arg-type]
    other = _left(tmp_path / "other", **{**usual, **change})  # type: ignore[arg-type]

    found = first_difference(one, other)

    assert found is None if said is None else (found or "").startswith(said)


def test_a_replay_that_left_nothing_is_no_match(tmp_path: Path) -> None:
    one = _left(tmp_path / "one", data={})

    with pytest.raises(sqlite3.Error):
        first_difference(one, Paths(var=tmp_path / "other"))
