"""`livespot explain` as an operator meets it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from livespot.contracts.catalogue import CATALOGUE, RESERVED
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode, SchemaMismatch
from livespot.contracts.records import UniverseScan
from livespot.testing import finished_run
from livespot.testing import ledger_rows as rows
from livespot.testing.finished_run_journal import START_MS
from livespot_cmd.main import livespot


def run(*arguments: str) -> Result:
    return CliRunner().invoke(livespot, ["explain", *arguments], standalone_mode=False)


def _refused(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, click.UsageError)
    return result.exception.format_message()


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory whose run is finished."""
    directory = tmp_path_factory.mktemp("finished")

    async def tell() -> None:
        path = await finished_run.told(directory)
        scan = UniverseScan(
            cycle_id="cyc_u",
            symbol="ADAUSDT",
            eligible=False,
            reasons=(ReasonCode.SYMBOL_NOT_TRADING,),
            features_json="{}",
            at_ms=START_MS + 11_000,
        )
        await finished_run.write(path, scan)

    anyio.run(tell)
    return directory


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_code_is_explained_in_any_case(code: ReasonCode) -> None:
    entry = CATALOGUE[code]

    result = run(code.value.lower())

    assert result.return_value == ExitCode.CLEAN
    for text in (code.value, entry.meaning, entry.action, entry.by_itself, entry.reserved):
        assert text in result.stdout
    assert ("reserved" in result.stdout) == (code in RESERVED)


def test_a_code_as_json_has_all_its_fields() -> None:
    told = msgspec.json.decode(run("MD_BOOK_GAP", "--json").stdout)

    assert told["number"] == 4017
    assert told["reserved"] == RESERVED[ReasonCode.MD_BOOK_GAP]


def test_a_misspelt_code_is_answered_with_the_nearest() -> None:
    said = _refused("RISK_SIZE_CAPED")

    assert "There is no reason code 'RISK_SIZE_CAPED'" in said
    assert "Did you mean RISK_SIZE_CAPPED" in said


@pytest.mark.parametrize("what", ["ADAUSDT", "dec_0123456789ab", "ADAUSDT@now"])
def test_without_a_database_it_names_the_next_step(tmp_path: Path, what: str) -> None:
    result = run(what, "--var", str(tmp_path))

    assert result.return_value == ExitCode.PREFLIGHT
    assert "Next: livespot sim" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(("change", "said"), [(-1, "livespot migrate"), (1, "install the newer")])
def test_a_database_of_another_version_is_refused_with_what_mends_it(
    tmp_path: Path, change: int, said: str
) -> None:
    with closing(sqlite3.connect(rows.fresh(tmp_path))) as connection:
        [newest] = connection.execute("SELECT max(number) FROM schema_migrations").fetchone()
        if change < 0:
            connection.execute("DELETE FROM schema_migrations WHERE number = ?", (newest,))
        else:
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, 'later', 'x', 0)", (newest + 1,)
            )
        connection.execute(f"PRAGMA user_version = {newest + change}")
        connection.commit()

    result = run("ADAUSDT", "--var", str(tmp_path))

    assert isinstance(result.exception, SchemaMismatch)
    assert said in str(result.exception)


def test_a_decision_is_told_whole(var: Path) -> None:
    result = run("dec_1", "--var", str(var))

    assert result.return_value == ExitCode.CLEAN
    for text in ("was proposed at", "and bought: closed", "CREATED -> SENT_UNKNOWN", "realised"):
        assert text in result.stdout


def test_a_decision_as_json_is_one_object(var: Path) -> None:
    told: dict[str, Any] = msgspec.json.decode(run("dec_1", "--json", "--var", str(var)).stdout)

    assert told["decision_id"] == "dec_1"
    names = [section["name"] for section in told["sections"]]
    assert names[0] == "snapshot"
    assert "result" in names


def test_what_holds_too_little_to_recompute_says_so_and_exits_with_1(var: Path) -> None:
    result = run("dec_1", "--recompute", "--var", str(var))

    assert result.return_value == 1
    assert "cannot be recomputed" in result.stdout
    assert "Next: run this with the version of livespot" in result.stderr


def test_an_unknown_decision_and_a_short_id_are_refused(var: Path) -> None:
    assert "This database holds no decision" in _refused("dec_ffffffffffff", "--var", str(var))
    assert "is too short" in _refused("dec_f", "--var", str(var))


def test_the_beginning_of_an_id_is_enough_while_only_one_begins_so(tmp_path: Path) -> None:
    path = tmp_path / "data" / "audit.sqlite"

    async def tell() -> None:
        await finished_run.told(tmp_path)

    anyio.run(tell)
    with closing(sqlite3.connect(path)) as connection:
        for number, name in enumerate(("dec_abcdefgh1", "dec_abcdefgh2"), start=1):
            connection.execute(
                "UPDATE decisions SET decision_id = ? WHERE decision_id = ?",
                (name, f"dec_{number}"),
            )
        connection.commit()

    assert "dec_abcdefgh1" in run("dec_abcdefgh1"[:13], "--var", str(tmp_path)).stdout
    said = _refused("dec_abcdefgh", "--var", str(tmp_path))
    assert "is the beginning of several decisions" in said
    assert "dec_abcdefgh2" in said


def test_a_symbol_in_trade_says_so_and_as_json_too(var: Path) -> None:
    at = f"ADAUSDT@{START_MS + 30_000}"

    result = run(at, "--var", str(var))

    assert result.return_value == ExitCode.CLEAN
    assert "ADAUSDT was in trade at" in result.stdout
    told = msgspec.json.decode(run(at, "--json", "--var", str(var)).stdout)
    assert told["links"][-1]["passage"] == "TRADED"


def test_a_symbol_alone_means_the_last_recorded_instant(var: Path) -> None:
    alone, now = run("adausdt", "--var", str(var)), run("ADAUSDT@now", "--var", str(var))

    assert alone.stdout == now.stdout
    assert "and the mode was EXIT" in alone.stdout


def test_an_unknown_symbol_is_answered_with_the_nearest(var: Path) -> None:
    assert "Did you mean ADAUSDT?" in _refused("ADAUSD@now", "--var", str(var))


def test_a_time_that_is_none_is_refused(var: Path) -> None:
    assert "'noon' is no time" in _refused("ADAUSDT@noon", "--var", str(var))


def test_only_a_decision_can_be_recomputed(var: Path) -> None:
    assert "--recompute wants a decision" in _refused("ADAUSDT", "--recompute", "--var", str(var))


def test_reading_changes_nothing(var: Path, tmp_path: Path) -> None:
    shutil.copytree(var, tmp_path / "copy")
    path = tmp_path / "copy" / "data" / "audit.sqlite"
    before = path.read_bytes()

    run("dec_1", "--var", str(tmp_path / "copy"))
    run("ADAUSDT", "--var", str(tmp_path / "copy"))

    assert path.read_bytes() == before
