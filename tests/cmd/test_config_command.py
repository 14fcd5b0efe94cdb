"""`livespot config` as an operator meets it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from livespot.contracts.errors import ConfigInvalid
from livespot_cmd.config import config


def run(*arguments: str) -> Result:
    return CliRunner().invoke(config, arguments, standalone_mode=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "my.toml"
    path.write_text("[risk]\nper_trade = 50\n")
    return path


def test_showing_tells_value_and_source_of_every_key_and_no_secret(path: Path) -> None:
    shown = run("show", "--config", str(path)).stdout.splitlines()

    assert "risk.per_trade = 50  # file" in shown
    assert "risk.cooldown_seconds = 300  # default" in shown
    assert "# BINANCE_API_SECRET = *** (environment only)" in shown


def test_the_difference_is_only_what_the_file_changes(path: Path) -> None:
    assert run("diff", "--config", str(path)).stdout == "risk.per_trade: 100.00 -> 50\n"


def test_without_a_file_nothing_differs(tmp_path: Path) -> None:
    assert run("diff", "--var", str(tmp_path)).stdout == ""


def test_a_good_file_is_called_good(path: Path) -> None:
    result = run("check", "--config", str(path))

    assert result.return_value == 0
    assert "good, 1 key set" in result.stdout


def test_a_file_that_is_not_there_is_not_called_good(tmp_path: Path) -> None:
    result = run("check", "--var", str(tmp_path))

    assert result.return_value == 0
    assert "livespot.toml does not exist: every value is its default" in result.stdout


def test_every_problem_is_reported_with_its_line(path: Path) -> None:
    path.write_text("[risk]\nper_trad = 50\n[panel]\nport = 70000\n[nonsense]\n")

    result = run("check", "--config", str(path))

    assert isinstance(result.exception, ConfigInvalid)
    lines = [problem.split(": ")[0] for problem in result.exception.problems]
    assert lines == [f"{path}:2", f"{path}:4", f"{path}:5"]


def test_a_named_file_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    result = run("check", "--config", str(tmp_path / "none.toml"))

    assert isinstance(result.exception, ConfigInvalid)
    assert "cannot be read" in str(result.exception)


def test_the_schema_is_a_json_schema_of_all_sections() -> None:
    schema = json.loads(run("schema").stdout)

    assert "RiskSettings" in schema["$defs"]


def test_a_check_warns_of_limits_that_can_never_act(tmp_path: Path) -> None:
    path = tmp_path / "livespot.toml"
    path.write_text(
        "[risk]\nper_trade = 10\nmax_exposure_symbol = 400\nmax_daily_loss = -500\n",
        encoding="utf-8",
    )

    result = run("check", "--config", str(path))

    assert result.return_value == 0
    assert "can never bind" not in result.stdout
    assert "WARN the worst day the limits allow loses" in result.stdout
    assert "Worst loss per trade: 10.49" in result.stdout
