"""`livespot exposure` as an operator meets it."""

from decimal import Decimal
from pathlib import Path

import anyio
import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from livespot.contracts.errors import ExitCode
from livespot.contracts.records import ManualExposureRow
from livespot.contracts.vocabulary import OperatorAction, Side
from livespot.runtime.control import ControlDirectory
from livespot.runtime.paths import Paths
from livespot.testing import ledger_rows, panel_story
from livespot_cmd.exposure import exposure


def _run(var: Path, *arguments: str) -> Result:
    return CliRunner().invoke(exposure, [*arguments, "--var", str(var)], standalone_mode=False)


def _taking(var: Path) -> ControlDirectory:
    paths = Paths(var=var)
    return ControlDirectory(directory=paths.control, stop_file=paths.stop_file)


def _row(number: int, symbol: str = "SOLUSDT", *, closed_ms: int = 0) -> ManualExposureRow:
    return ManualExposureRow(
        exposure_id=f"exp_{number}",
        symbol=symbol,
        side=Side.BUY,
        qty=Decimal("12.5"),
        note="[bold]mine[/]",
        opened_at_ms=ledger_rows.NOW_MS + number,
        closed_at_ms=closed_ms,
        close_note="sold" if closed_ms else "",
    )


def _stored(var: Path, *rows: ManualExposureRow) -> None:
    anyio.run(panel_story.write, ledger_rows.fresh(var), *rows)


def test_a_registration_waits_for_the_next_process(tmp_path: Path) -> None:
    opened = _run(tmp_path, "open", "solusdt", "buy", "12.50", "--reason", "long term")
    listed = _run(tmp_path, "list")
    (command,) = _taking(tmp_path).read_commands(5)

    assert opened.return_value == ExitCode.CLEAN
    assert "before its first entry" in opened.stdout
    assert listed.stdout == "WAITING  EXPOSURE_OPEN SOLUSDT BUY 12.50: taken when a process runs\n"
    assert (command.action, command.symbol, command.side, command.qty, command.reason) == (
        OperatorAction.EXPOSURE_OPEN,
        "SOLUSDT",
        Side.BUY,
        Decimal("12.50"),
        "long term",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("SOLUSDT", "BUY", "0", "--reason", "x"),
        ("SOLUSDT", "BUY", "NaN", "--reason", "x"),
        ("SOLUSDT", "BUY", "1e-9", "--reason", "x"),
        ("SOLUSDT", "BUY", "1e900", "--reason", "x"),
        ("SOLUSDT", "BUY", "ten", "--reason", "x"),
        ("SOLUSDT", "HOLD", "1", "--reason", "x"),
        ("SOL/USDT", "BUY", "1", "--reason", "x"),
        ("SOLUSDT", "BUY", "1"),
        ("SOLUSDT", "BUY", "1", "--reason", " "),
    ],
)
def test_a_registration_that_says_too_little_is_refused(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = _run(tmp_path, "open", *arguments)

    assert isinstance(result.exception, click.UsageError)
    assert not Paths(var=tmp_path).control.exists()


@pytest.mark.parametrize("which", ["exp_1", "SOLUSDT", "solusdt"])
def test_the_one_that_is_meant_is_closed_by_its_id(tmp_path: Path, which: str) -> None:
    _stored(tmp_path, _row(1), _row(2, "BTCUSDT"), _row(3, closed_ms=ledger_rows.NOW_MS + 9))
    result = _run(tmp_path, "close", which, "--reason", "sold it")
    (command,) = _taking(tmp_path).read_commands(5)

    assert result.return_value == ExitCode.CLEAN
    assert (command.action, command.exposure_id) == (OperatorAction.EXPOSURE_CLOSE, "exp_1")


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("SOLUSD", "Did you mean SOLUSDT?"),
        ("BTCUSDT", "No open exposure"),
        ("SOLUSDT", "means several"),
    ],
)
def test_a_close_that_means_no_single_one_is_refused(tmp_path: Path, which: str, why: str) -> None:
    _stored(tmp_path, _row(1), _row(2))
    result = _run(tmp_path, "close", which, "--reason", "sold it")

    assert isinstance(result.exception, click.UsageError)
    assert why in str(result.exception)
    assert not Paths(var=tmp_path).control.exists()


def test_the_list_shows_open_ones_first_and_a_machine_everything(tmp_path: Path) -> None:
    _stored(tmp_path, _row(1, closed_ms=ledger_rows.NOW_MS + 9), _row(2, "BTCUSDT"))

    first, second = _run(tmp_path, "list").stdout.splitlines()
    whole = msgspec.json.decode(_run(tmp_path, "list", "--json").stdout)

    assert first == "OPEN     exp_2  BTCUSDT BUY 12.5 since 2026-01-01 00:00 UTC: [bold]mine[/]"
    assert second.startswith("CLOSED   exp_1  SOLUSDT")
    assert second.endswith("closed 2026-01-01 00:00: sold")
    assert [row["exposure_id"] for row in whole["exposures"]] == ["exp_2", "exp_1"]


def test_without_a_database_nothing_is_registered(tmp_path: Path) -> None:
    assert "No position of your own" in _run(tmp_path, "list").stdout
