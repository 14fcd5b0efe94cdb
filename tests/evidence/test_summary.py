"""A finished run is read back from real files and told in words; what is wrong stands out."""

import gzip
import io
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.vocabulary import PositionPhase
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts
from livespot.evidence.summary import RunSummary, summarise, summary_of, unknown_intents
from livespot.evidence.telling import age, lines, render
from livespot.exchange.journal import JournalInvalid
from livespot.runtime.simulation_journal import read_rows
from livespot.testing import finished_run, finished_run_journal, ledger_rows
from livespot.testing.finished_run import RUN


async def summary_at(directory: Path, path: Path) -> RunSummary:
    journal = read_rows(finished_run_journal.journal(directory / "exchange-journal.jsonl"))
    return await summarise(path, directory / "logs", RUN, journal)


def violated(summary: RunSummary) -> list[str]:
    return [finding.id for finding in summary.violations]


async def test_the_right_story_is_summed_up(tmp_path: Path) -> None:
    summary = await summary_at(tmp_path, await finished_run.told(tmp_path))

    assert (violated(summary), summary.unseen) == ([], ())
    assert (summary.counts.proposed, summary.counts.blocked, summary.counts.events) == (2, 1, 38)
    assert [(c.name, c.count) for c in summary.counts.strategy_reasons] == [
        ("STRAT_EDGE_BELOW_MIN", 1)
    ]
    assert [(c.name, c.count) for c in summary.orders] == [
        ("FILLED", 2),
        ("CANCELED", 1),
        ("EXPIRED", 1),
    ]
    assert [(c.name, c.count) for c in summary.intents] == [("CONFIRMED", 3)]
    assert (summary.fills.database, summary.fills.exchange, summary.fills.agree) == (2, 2, True)
    assert (summary.pnl_quote, summary.complete_trips) == (Decimal("0.1796102"), 1)
    assert (summary.clean, summary.exit_code, summary.last_sysmode) == (True, 0, "EXIT")
    assert (summary.alerts, summary.open_positions) == ((), ())


async def test_the_order_in_doubt_is_told_with_what_settled_it(tmp_path: Path) -> None:
    (unknown,) = (await summary_at(tmp_path, await finished_run.told(tmp_path))).unknown_intents

    assert (unknown.order_intent_id, unknown.resolved_as) == ("oi_b", "CONFIRMED")
    assert (unknown.after_ms, unknown.evidence) == (3_000, "REST order 21 NEW")


async def test_a_summary_survives_the_way_through_json(tmp_path: Path) -> None:
    summary = await summary_at(tmp_path, await finished_run.told(tmp_path))

    assert msgspec.json.decode(msgspec.json.encode(summary), type=RunSummary) == summary


async def test_a_missing_journal_is_said(tmp_path: Path) -> None:
    path = await finished_run.told(tmp_path)

    summary = await summarise(path, tmp_path / "logs", RUN, None)

    assert (summary.fills.exchange, summary.fills.agree, violated(summary)) == (-1, False, [])
    assert len(summary.unseen) == 9
    assert "fills         2 (no exchange journal to compare with)" in lines(summary)


async def test_an_unknown_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PayloadInvalid, match="no run 'run_other'"):
        await summarise(ledger_rows.fresh(tmp_path), tmp_path, "run_other", None)


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        pytest.param("UPDATE audit_events SET symbol = 'X' WHERE seq = 4", "I18", id="edited"),
        pytest.param("DELETE FROM audit_events WHERE seq = 5", "I18", id="removed"),
        pytest.param(
            "UPDATE audit_events SET event_type = 'FILL' WHERE seq = 1", "I18", id="no-start"
        ),
        pytest.param("DELETE FROM fills WHERE trade_id = 2", "I07", id="fill-gone"),
        pytest.param("UPDATE fills SET commission = '0.011'", "I07", id="fee-edited"),
        pytest.param("UPDATE order_intents SET state = 'SENT_UNKNOWN'", "I05", id="state-edited"),
        pytest.param("DELETE FROM intent_client_ids WHERE role = 'CANCEL'", "I04", id="no-alias"),
        pytest.param("DELETE FROM alerts WHERE id = 1", "I20", id="silent"),
        pytest.param(
            "UPDATE intent_client_ids SET order_intent_id = 'x' WHERE role = 'TP'",
            "I39",
            id="dangling",
        ),
    ],
)
async def test_what_somebody_changed_in_the_file_is_found(
    tmp_path: Path, sql: str, finding: str
) -> None:
    path = await finished_run.told(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql)

    assert finding in violated(await summary_at(tmp_path, path))


@pytest.mark.parametrize("change", ["cut", "edited", "doubled", "swapped", "gone"])
async def test_a_trail_that_is_not_the_database_is_found(tmp_path: Path, change: str) -> None:
    path = await finished_run.told(tmp_path)
    (trail,) = (tmp_path / "logs").glob("audit-*.jsonl")
    whole = trail.read_bytes().splitlines(keepends=True)
    changed = {
        "cut": [*whole[:-1], whole[-1][:20]],
        "edited": [whole[0].replace(b"SIM", b"LIVE"), *whole[1:]],
        "doubled": [*whole, whole[-1]],
        "swapped": [whole[1], whole[0], *whole[2:]],
        "gone": [],
    }[change]
    trail.write_bytes(b"".join(changed))

    assert violated(await summary_at(tmp_path, path)) == ["I19"]


async def test_a_compressed_day_is_read_too(tmp_path: Path) -> None:
    path = await finished_run.told(tmp_path)
    (trail,) = (tmp_path / "logs").glob("audit-*.jsonl")
    trail.with_suffix(".jsonl.gz").write_bytes(gzip.compress(trail.read_bytes()))
    trail.unlink()

    assert violated(await summary_at(tmp_path, path)) == []


async def test_an_open_position_is_told_with_its_protection(tmp_path: Path) -> None:
    path = await finished_run.told(tmp_path)
    held = ledger_rows.position("pos_9", PositionPhase.PROTECTED)
    bare = replace(held.position, symbol="ETHUSDT", protected_qty=Decimal(0))
    await finished_run.write(path, held, replace(held, position=bare))

    summary = await summary_at(tmp_path, path)

    text = "\n".join(lines(summary))
    assert "BTCUSDT  1.4985 at 100.1, protected between 98 and 103" in text
    assert "ETHUSDT  1.4985 at 100.1, NOT PROTECTED" in text
    assert violated(summary) == ["I08"]


def test_an_intent_of_an_earlier_run_that_this_one_settled_was_in_doubt(facts: Facts) -> None:
    steps = tuple(
        replace(step, run_id="run_earlier") if step.to_state == "SENT_UNKNOWN" else step
        for step in facts.transitions
    )
    intents = tuple(replace(intent, run_id="run_earlier") for intent in facts.intents)

    found = unknown_intents(replace(facts, transitions=steps, intents=intents))

    assert [intent.order_intent_id for intent in found] == ["oi_a", "oi_b", "oi_c"]
    assert all(intent.resolved for intent in found)


def test_an_unsettled_intent_is_shouted(facts: Facts, journal: JournalRows) -> None:
    intents = tuple(
        replace(i, state="SENT_UNKNOWN") if i.order_intent_id == "oi_b" else i
        for i in facts.intents
    )

    summary = summary_of(replace(facts, intents=intents), journal, database="d", trail="t")

    assert "unknown       1 order in doubt, 1 NOT RESOLVED" in lines(summary)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, "ended cleanly after 3 min 01 s", id="clean"),
        pytest.param({"clean": False, "exit_code": -1}, "was killed after", id="killed"),
        pytest.param(
            {"exit_code": 20, "end_reasons": ("ACTOR_FAILED",)},
            "ended with exit code 20 because of ACTOR_FAILED after",
            id="failed",
        ),
        pytest.param({"ended_at_ms": 0}, "has not ended", id="running"),
    ],
)
def test_the_first_line_says_how_the_run_ended(
    facts: Facts, journal: JournalRows, change: dict[str, object], words: str
) -> None:
    ended = replace(facts, runs=(replace(facts.runs[0], **change),))

    assert words in lines(summary_of(ended, journal, database="d", trail="t"))[0]


def test_a_run_that_was_killed_before_is_counted(facts: Facts, journal: JournalRows) -> None:
    earlier = replace(facts.runs[0], run_id="run_earlier", clean=False)
    both = replace(facts, runs=(earlier, *facts.runs))

    told = lines(summary_of(both, journal, database="d", trail="t"))

    assert told[0].endswith("; run 2 on this database, 1 killed before it")


def test_differing_fills_are_shouted(facts: Facts, journal: JournalRows) -> None:
    fewer = replace(journal, fills=journal.fills[:1])

    text = lines(summary_of(facts, fewer, database="d", trail="t"))

    assert "fills         database 2 / exchange journal 1, THEY DIFFER" in text
    assert any(line.startswith("              ✗ I07 Every fill") for line in text)


def test_the_summary_fits_one_screen_and_says_the_same_in_colour(
    facts: Facts, journal: JournalRows
) -> None:
    summary = summary_of(facts, journal, database="/v/data/audit.sqlite", trail="/v/logs")
    screen = io.StringIO()

    Console(file=screen, width=100, color_system=None).print(render(summary))

    shown = screen.getvalue()
    assert len(shown.splitlines()) <= 30
    for word in ("0 violated", "agree to the last digit", "+0.1796 USDT", "status --var /v", RUN):
        assert word in shown


def test_markup_from_outside_stays_text(facts: Facts, journal: JournalRows) -> None:
    odd = replace(facts, alerts=(replace(facts.alerts[0], code="[red]X[/red]"),))
    screen = io.StringIO()

    summary = summary_of(odd, journal, database="d", trail="t")
    Console(file=screen, width=100, color_system=None).print(render(summary))

    assert "[red]X[/red]" in screen.getvalue()


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (999, "999 ms"), (12_345, "12 s"), (200_000, "3 min 20 s"),
     (7_500_000, "2 h 05 min")],
)  # fmt: skip
def test_a_span_is_told_in_its_own_unit(ms: int, text: str) -> None:
    assert age(ms) == text


def test_a_journals_times_never_run_backwards(tmp_path: Path) -> None:
    rows = read_rows(finished_run_journal.journal(tmp_path / "journal.jsonl"))

    times = [order.at_ms for order in rows.orders]
    assert times == sorted(times)
    assert [item.row for item in rows.timeline()] == sorted(
        [order.row for order in rows.orders] + [fill.row for fill in rows.fills]
    )


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    path = finished_run_journal.journal(tmp_path / "journal.jsonl")
    path.write_bytes(path.read_bytes() + b'{"t":"odd"}\n')

    with pytest.raises(JournalInvalid):
        read_rows(path)
