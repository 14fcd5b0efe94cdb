"""The terminal view: everything named, nothing interpreted."""

from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import ManualExposureRow
from livespot.contracts.vocabulary import Severity, Side, SysMode
from livespot.panel.console import plain_line, render_live
from livespot.panel.dashboard import Dashboard, PositionLine, ProcessView
from livespot.panel.database import opened
from livespot.panel.snapshot import Vantage, empty_dashboard, read_dashboard
from livespot.panel.survival_queries import read_survival
from livespot.panel.tabs import SurvivalTab
from livespot.rules.words import age, amount, limited, measured, printable, signed, size
from livespot.testing import finished_run
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story


async def snapshot(path: Path, *, running: bool = True) -> Dashboard:
    async with opened(path) as database:
        return await read_dashboard(database, Vantage(now_ms=story.NOW_MS, running=running))


def text(dashboard: Dashboard, url: str = "http://127.0.0.1:8787/dashboard") -> str:
    written = StringIO()
    Console(width=300, file=written, highlight=False).print(render_live(dashboard, url))
    return written.getvalue()


async def test_the_live_view_names_all_that_an_operator_looks_for(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.told(path)

    shown = text(await snapshot(path))

    for wanted in (
        "NORMAL",
        "STRATEGY_PROPOSE",
        "BTCUSDT, ETHUSDT, ADAUSDT",
        "STRAT_EDGE_BELOW_MIN",
        "gate ALLOW, risk ALLOW",
        "? SENT_UNKNOWN",
        "PROTECTED",
        "+2.95 realised",
        "http://127.0.0.1:8787/dashboard",
    ):
        assert wanted in shown


async def test_each_position_says_how_long_it_had_no_stop(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.told(path)
    dashboard = await snapshot(path)
    (line,) = dashboard.positions
    since_ms = story.NOW_MS - 3000
    bare = structs.replace(line, protected=False, unprotected_since_ms=since_ms)

    assert f"without a stop {line.unprotected_ms} ms" in text(dashboard)
    assert "without a stop 3 s" in text(structs.replace(dashboard, positions=(bare,)))


async def test_what_is_still_being_bought_is_not_called_unprotected(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.told(path)
    dashboard = await snapshot(path)
    (line,) = dashboard.positions
    opening = structs.replace(line, qty="0", phase="OPENING", protected=False)
    held = structs.replace(line, protected=False)
    sold = structs.replace(held, phase="CLOSING")

    def both(position: PositionLine) -> str:
        board = structs.replace(dashboard, positions=(position,))
        return text(board) + plain_line(board)

    assert "nothing bought yet" in both(opening)
    assert "being bought" in both(opening)
    assert "PROTECTED" not in both(opening)
    assert "NOT PROTECTED" in both(held)
    assert "being sold" in both(sold)
    assert "UNPROTECTED" in both(sold)


async def test_positions_of_the_operators_own_stand_beside_the_programs(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.told(path)
    own = ManualExposureRow(
        exposure_id="exp_7",
        symbol="SOLUSDT",
        side=Side.BUY,
        qty=Decimal("2.50"),
        note="mine",
        opened_at_ms=story.NOW_MS - 60_000,
    )
    closed = structs.replace(own, exposure_id="exp_6", symbol="XRPUSDT", closed_at_ms=story.NOW_MS)
    await story.write(path, own, closed)
    dashboard = await snapshot(path)

    assert "SOLUSDT yours  BUY 2.5 by hand: no entries in SOLUSDT" in text(dashboard)
    assert "exp_7" in text(dashboard)
    assert "XRPUSDT" not in text(dashboard)
    assert "yours by hand: SOLUSDT" in plain_line(dashboard)


async def test_the_figures_of_survival_are_told_of_this_run_and_of_all(tmp_path: Path) -> None:
    ended = await finished_run.told(tmp_path)
    board = empty_dashboard(Vantage(now_ms=story.NOW_MS))
    board = structs.replace(board, process=ProcessView(state="RUNNING"))
    async with opened(ended) as database:
        one = structs.replace(board, survival=await read_survival(database, story.NOW_MS))
    await finished_run.write(ended, rows.run_started("run_second", story.NOW_MS))
    async with opened(ended) as database:
        two = structs.replace(board, survival=await read_survival(database, story.NOW_MS))

    assert "survival" in text(one)
    assert "up 3 min, 0 internal failures, NORMAL after at most 10 s" in text(one)
    assert "intents in doubt: 1 (settled within 3 s)" in text(one)
    assert "NORMAL 60.5 %" in text(one)
    assert "2 runs" not in text(one)
    assert "2 runs" in text(two)
    assert "survival not counted: a read was cut" in text(
        structs.replace(one, survival=SurvivalTab(unknown={"run": "a read was cut"}))
    )


async def test_markup_in_a_message_is_shown_as_it_is(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    hostile = "[/red] [link=http://x]press[/link]"
    alert = story.alert(Severity.CRIT, ReasonCode.ALERT_RAISED, hostile)
    await story.write(path, rows.run_started(), alert)

    assert hostile in text(await snapshot(path))


@pytest.mark.parametrize("char", ["\x1b[2J", "\x07", "\x9b31m", "\u202e", "\r"])
async def test_nothing_a_terminal_would_obey_reaches_it(tmp_path: Path, char: str) -> None:
    path = rows.fresh(tmp_path)
    hostile = f"before{char}after"
    alert = story.alert(Severity.CRIT, ReasonCode.ALERT_RAISED, hostile)
    reason = story.reason(ReasonCode.REST_STALE_DEGRADE, hostile)
    await story.write(path, rows.run_started(), story.mode(SysMode.DEGRADE, [reason]), alert)
    dashboard = await snapshot(path)

    for shown in (text(dashboard), plain_line(dashboard)):
        assert char[0] not in shown
    assert "before\N{REPLACEMENT CHARACTER}" in text(dashboard)


def test_line_ends_become_blanks() -> None:
    assert printable("a\nb\tc") == "a b c"


async def test_one_plain_line_says_what_is_urgent(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.write(path, rows.run_started(), story.mode(SysMode.PAUSE, []))

    assert "next: Look at the panel" in plain_line(await snapshot(path))


async def test_a_reason_is_shown_with_its_measurement(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    reasons = [story.reason(ReasonCode.REST_STALE_DEGRADE, "4 calls unanswered")]
    await story.write(path, rows.run_started(), story.mode(SysMode.DEGRADE, reasons))

    shown = text(await snapshot(path))

    assert "REST_STALE_DEGRADE  12 s, limit 10 s" in shown
    assert "4 calls unanswered" in shown


async def test_a_dead_process_is_said_aloud(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.told(path)
    dashboard = await snapshot(path, running=False)

    assert "CRASHED" in text(dashboard)
    assert "CRASHED" in plain_line(dashboard)


async def test_one_plain_line_holds_the_essentials(tmp_path: Path) -> None:
    path = rows.fresh(tmp_path)
    await story.told(path)

    line = plain_line(await snapshot(path))

    assert "\n" not in line
    for wanted in ("SIM | NORMAL", "stage STRATEGY_PROPOSE", "1 SENT_UNKNOWN", "BTCUSDT 1.4985"):
        assert wanted in line


def test_before_the_first_run_both_views_say_how_to_start() -> None:
    nothing = empty_dashboard(Vantage(now_ms=0))

    assert "livespot sim" in text(nothing, "")
    assert "livespot sim" in plain_line(nothing)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (age(-1), "—"),
        (age(450), "450 ms"),
        (age(119_999), "119 s"),
        (age(7_260_000), "2 h 01"),
        (size(1023), "1023 B"),
        (size(1536), "1.5 KiB"),
        (amount("0.123456"), "0.1234"),
        (amount("-0.00001"), "0"),
        (amount("12.5000"), "12.5"),
        (signed("3.10"), "+3.1"),
        (signed(""), "—"),
        (measured(536_870_912, "bytes"), "512.0 MiB"),
        (measured(80, "%"), "80 %"),
        (measured(50_000, "x10000"), "5.0"),
        (measured(7_450, "x10000"), "0.7"),
        (measured(3, ""), "3"),
        (limited(["a", "b", "c", "d"], 3), "a, b, c +1"),
    ],
)
def test_numbers_read_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected
