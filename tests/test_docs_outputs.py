"""What the pages show of a run is what such a run says; figures aside."""

import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from livespot.panel.console import plain_line
from livespot.rules.doctor import Check, Outcome, summarize
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.runtime.replay_difference import first_difference
from livespot.runtime.replay_report import DIFFERENT
from livespot.runtime.replay_report import Check as Replayed
from livespot.runtime.replay_telling import checked
from livespot.runtime.sim_run import doctor_line
from livespot.runtime.standing import standing
from livespot.testing.rehearsals import prepare
from livespot_cmd.main import livespot

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```([a-z]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run of the demo's minutes printed at its end, and its alerts as the console says them.

    It is replayed, because virtual time costs a tenth; summary and alerts are the simulation's.
    """

    summary: str
    alerts: tuple[str, ...]
    paths: Paths


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    var = tmp_path_factory.mktemp("demo") / "var"
    result = CliRunner().invoke(livespot, ["replay", "--var", str(var)], standalone_mode=False)
    assert result.exception is None
    with closing(sqlite3.connect(var / "data" / "audit.sqlite")) as connection:
        rows = connection.execute("SELECT severity, code, symbol, text FROM alerts ORDER BY id")
        alerts = tuple(
            f"ALERT {severity} {code}{f' {symbol}' if symbol else ''} {text}"
            for severity, code, symbol, text in rows
        )
    return Run(summary=_shape(result.stdout), alerts=alerts, paths=Paths(var=var))


def _shape(text: str) -> str:
    text = re.sub(r"-?\d+(?:[.,:]\d+)*", "#", text)
    return " ".join(re.sub(r"# (?:ms|s|min|h)\b", "# T", text).split())


def _shown(first_word: str, page: str = "demo.md") -> list[str]:
    """The lines of the one block of a page that begins so."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (block,) = [block for _, block in _BLOCK.findall(text) if block.startswith(first_word)]
    return [line for line in block.splitlines() if line.strip()]


@pytest.mark.slow
def test_the_demo_shows_lines_of_the_summary_in_its_order(run: Run) -> None:
    rest = run.summary
    for line in _shown("decisions"):
        _, found, rest = rest.partition(_shape(line))

        assert found, line


@pytest.mark.slow
def test_the_demo_shows_alerts_that_come(run: Run) -> None:
    alerts = [line for line in _shown("doctor:") if line.startswith("ALERT")]

    assert alerts
    assert set(alerts) <= set(run.alerts)


def test_the_demo_shows_the_doctors_line_as_it_is_said() -> None:
    row = Check(id="row", title="a row", outcome=Outcome.PASS, measured="1", limit="1")

    shown, *_ = _shown("doctor:")
    assert _shape(doctor_line(summarize([row], when_green=""))) == _shape(shown)
    assert "0 FAIL" in shown


@pytest.mark.slow
def test_the_page_of_replays_shows_how_two_of_them_part(run: Run, tmp_path: Path) -> None:
    other = Paths(var=tmp_path / "other")
    shutil.copytree(run.paths.var, other.var)
    with closing(sqlite3.connect(other.database)) as connection, connection:
        connection.execute("DROP TRIGGER audit_events_immutable")
        connection.execute(
            "UPDATE audit_events SET ts_ms = ts_ms + 2, hash = hex(zeroblob(32)) "
            "WHERE id = (SELECT max(id) FROM audit_events WHERE event_type = 'STAGE_CHANGED')"
        )

    parting = first_difference(other, run.paths)
    assert parting is not None
    text, _ = checked(Replayed(verdict=DIFFERENT, detail=parting))
    (shown,) = _shown("check ", "replay.md")
    assert _shape(f"check {text}") == _shape(shown)


async def test_the_demo_shows_the_plain_line_as_it_is_built(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path / "var")
    await prepare(paths.var, 2)
    with RealDisk().lock(paths.lock, "a test"):
        line = plain_line(await standing(paths))

    (shown,) = _shown("SIM |")
    wanted = [_kind(part) for part in shown.split(" | ") if part != "..."]
    assert [_kind(part) for part in line.split(" | ")][: len(wanted)] == wanted


def _kind(part: str) -> str:
    """The words of our own, with any mode, symbol and code for the one that stands there."""
    named = re.sub(r"\b[A-Z][A-Z0-9_]+\b", "NAME", _shape(part))
    return re.sub(r"NAME(?:, NAME)+", "NAME", named)
