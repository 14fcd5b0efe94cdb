"""The folder of a run: whole, checked by its sums, written once, honest about what is unknown."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from livespot.contracts.errors import PayloadInvalid
from livespot.evidence.manifest import Birthmarks, RunInputs, RunManifest
from livespot.evidence.run_folder import (
    MANIFEST,
    SUMS,
    Whereabouts,
    begin,
    changed_since,
    complete,
    manifest_of,
    write_incidents,
)
from livespot.runtime.disk import RealDisk
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run

RUN = finished_run.RUN
_DISK = RealDisk()
_FILES = (
    "execution_fingerprint.json",
    "recon_report.json",
    "report.html",
    "report.md",
    MANIFEST,
    "summary.json",
)
_INPUTS = RunInputs(
    data="recorded",
    data_set_id="spot-usdt-2021-04",
    data_set_sha256="0" * 64,
    symbols=(),
    seed=7,
    start_ms=1,
    span_ms=2,
    speed=4,
    virtual=False,
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("told")
    anyio.run(finished_run.told, directory)
    return directory


@pytest.fixture
def where(told: Path, tmp_path: Path) -> Whereabouts:
    var = shutil.copytree(told, tmp_path / "var")
    database = next(var.rglob("audit.sqlite"))
    return Whereabouts(
        reader=ReadOnlyDatabase(database),
        database=database,
        logs=var / "logs",
        runs=var / "runs",
        checkout=tmp_path,
    )


def completed(where: Whereabouts) -> Path:
    anyio.run(partial(complete, _DISK, where, RUN, None))
    return where.runs / RUN


def spoil(where: Whereabouts, *statements: str) -> None:
    with closing(sqlite3.connect(where.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER runs_end_once")
        for statement in statements:
            connection.execute(statement)


def test_a_completed_folder_holds_every_file_and_its_sums_agree(where: Whereabouts) -> None:
    folder = completed(where)
    lines = [line.split("  ") for line in (folder / SUMS).read_text().splitlines()]
    sums = {name: digest for digest, name in lines}

    assert tuple(sorted(sums)) == tuple(sorted(_FILES))
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert changed_since(_DISK, where.runs, RUN) == ()


def test_a_complete_folder_is_never_written_again(where: Whereabouts) -> None:
    folder = completed(where)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    assert anyio.run(partial(complete, _DISK, where, RUN, None, "somebody else")) is False
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_what_changed_in_a_complete_folder_is_named(where: Whereabouts) -> None:
    folder = completed(where)
    (folder / "report.md").write_text("a better result")
    (folder / "summary.json").unlink()

    assert set(changed_since(_DISK, where.runs, RUN)) == {"report.md", "summary.json"}


def test_a_run_that_has_not_ended_cannot_be_completed(where: Whereabouts) -> None:
    spoil(where, "UPDATE runs SET ended_at_ms = 0")

    with pytest.raises(PayloadInvalid, match="has not ended"):
        completed(where)
    assert not (where.runs / RUN / SUMS).exists()


def test_the_beginning_is_kept_and_the_end_is_added(where: Whereabouts) -> None:
    marks = Birthmarks(
        run_id=RUN,
        mode="SIM",
        started_at_ms=1,
        account_label="simulation",
        config_json='{"a":1}',
        config_hash="1" * 64,
        prompt_hash="2" * 64,
        previous_run="",
    )
    begin(_DISK, where.runs, where.checkout, marks, _INPUTS)
    opened = manifest_of(_DISK, where.runs, RUN)
    completed(where)
    closed = manifest_of(_DISK, where.runs, RUN)

    assert opened is not None
    assert closed is not None
    assert (opened.exit_code, opened.unknown["exit_code"]) == (None, "the run has not ended")
    assert (closed.exit_code, closed.seed, closed.completed_by) == (0, 7, "the run itself")
    assert closed.dependencies == opened.dependencies
    assert closed.data_set_id == "spot-usdt-2021-04"


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_every_unknown_of_the_manifest_is_null_with_a_reason(where: Whereabouts, how: str) -> None:
    if how == "killed":
        spoil(where, "UPDATE runs SET clean = 0, exit_code = -1")
    manifest = json.loads((completed(where) / MANIFEST).read_text())
    nulls = {name for name in RunManifest.__struct_fields__ if manifest[name] is None}

    assert nulls == set(manifest["unknown"])
    assert all(manifest["unknown"].values())
    assert ("exit_code" in nulls) is (how == "killed")


def test_every_null_of_every_document_has_a_reason_beside_it(where: Whereabouts) -> None:
    folder = completed(where)

    for name in ("summary.json", "recon_report.json", "execution_fingerprint.json"):
        _no_bare_null(json.loads((folder / name).read_text()), name)


def _no_bare_null(value: Any, place: str) -> None:
    if isinstance(value, list):
        for number, item in enumerate(value):
            _no_bare_null(item, f"{place}[{number}]")
    elif isinstance(value, dict):
        reasons = value.get("unknown", {})
        for name, item in value.items():
            assert item is not None or reasons, f"{place}.{name} is null and nobody says why"
            assert item != -1, f"{place}.{name} stands for unknown"
            _no_bare_null(item, f"{place}.{name}")


def test_a_killed_run_leaves_an_incident_and_says_that_it_collapsed(where: Whereabouts) -> None:
    spoil(where, "UPDATE runs SET clean = 0, exit_code = -1")
    folder = completed(where)
    manifest = json.loads((folder / MANIFEST).read_text())
    (bundle,) = folder.glob("incident-*")

    assert manifest["internal_collapse_detected"] is True
    assert manifest["internal_collapse_reason"] == "UNCLEAN_SHUTDOWN"
    assert json.loads((bundle / "incident.json").read_text())["incident"]["what"] == "killed"
    assert len(json.loads((bundle / "events.json").read_text())) == 38


def test_a_pause_by_fault_is_bundled_at_once_and_one_by_the_operator_is_not(
    where: Whereabouts,
) -> None:
    assert anyio.run(write_incidents, _DISK, where, RUN) == ()
    spoil(
        where,
        "UPDATE sysmodes SET mode = 'PAUSE', reasons = '[\"ENTER_PAUSE\",\"RATE_LIMIT_418\"]' "
        "WHERE id = 3",
    )

    (name,) = anyio.run(write_incidents, _DISK, where, RUN)

    assert {path.name for path in (where.runs / RUN / name).iterdir()} == {
        "events.json",
        "health.json",
        "incident.json",
        "intents.json",
        "modes.json",
        "reconcile.json",
    }
    assert anyio.run(write_incidents, _DISK, where, RUN) == ()


def test_a_bundle_that_was_not_written_to_its_end_is_written_again(where: Whereabouts) -> None:
    spoil(
        where,
        "UPDATE sysmodes SET mode = 'PAUSE', reasons = '[\"ENTER_PAUSE\",\"RATE_LIMIT_418\"]' "
        "WHERE id = 3",
    )
    (name,) = anyio.run(write_incidents, _DISK, where, RUN)
    lost = where.runs / RUN / name / "modes.json"
    content = lost.read_bytes()
    lost.unlink()

    assert anyio.run(write_incidents, _DISK, where, RUN) == (name,)

    assert lost.read_bytes() == content


def test_the_page_needs_nothing_but_itself(where: Whereabouts) -> None:
    page = (completed(where) / "report.html").read_text()

    assert page.count("<svg") >= 5
    for outside in ("<script", "http://", "src=", "<link", "url("):
        assert outside not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")


@pytest.mark.parametrize(
    "title",
    [
        "Result of closed trades",
        "Drawdown",
        "Modes over time",
        "Blocks by reason",
        "Answers of the exchange",
        "Fills, from the exchange to us",
        "Slippage against the plan",
    ],
)
def test_the_page_draws_what_it_tells(where: Whereabouts, title: str) -> None:
    """Each under its own heading: result, drawdown, modes, blocks, times and slippage."""
    planned = "json_set(decision_json, '$.entry_plan.limit_price', '30.00')"
    spoil(where, f"UPDATE decisions SET decision_json = {planned}")  # noqa: S608
    page = (completed(where) / "report.html").read_text()

    section = page.split(f"<h2>{title}", 1)[1].split("<h2>")[0]

    assert "<svg" in section
    assert section.count("<rect") + section.count("<poly") + section.count("<path") > 0


def test_the_report_tells_of_every_trade(where: Whereabouts) -> None:
    text = (completed(where) / "report.md").read_text()

    assert "| TAKE_PROFIT |" in text
    assert "unknown: nothing failed inside" in text
    assert str(where.runs.parent) not in text
