"""`livespot exchange` says where it listens and what it plays, and ends with the right code."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from livespot.exchange.data_sets import DATA_SETS
from livespot.exchange.journal import LifeRow, read_journal
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET
from livespot_cmd.exchange import exchange


@pytest.mark.slow
def test_it_serves_for_the_asked_span_and_ends_clean(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    state = tmp_path / "state.json"
    asked = ["--port", "0", "--start", "2021-04-22T00:01", "--speed", "100", "--for", "150s"]

    result = CliRunner().invoke(
        exchange, [*asked, "--journal", str(journal), "--state-file", str(state)]
    )

    assert result.exit_code == 0, result.output
    assert "exchange on http://127.0.0.1:" in result.output
    assert "from 2021-04-22 00:01 UTC, speed 100" in result.output
    assert "the record lasts until 2021-04-22 06:00 UTC" in result.output
    assert "then the market stands still" in result.output
    assert "Ed25519" not in result.output
    lives = [row for row in read_journal(journal) if isinstance(row, LifeRow)]
    assert [life.event for life in lives] == ["start", "stop"]
    assert not state.exists()


@pytest.mark.slow
def test_without_a_start_it_plays_today_and_hands_out_both_keys(tmp_path: Path) -> None:
    asked = ["--port", "0", "--for", "100ms", "--keys", str(tmp_path)]

    result = CliRunner().invoke(exchange, asked)

    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.output.splitlines()]
    assert f"api key: {DEMO_KEY}" in lines
    assert f"secret: {DEMO_SECRET}" in lines
    (named,) = [line for line in lines if line.startswith("Ed25519 private key file: ")]
    key = Path(named.split(": ")[1])
    assert key.parent == tmp_path
    assert os.stat(key).st_mode & 0o777 == 0o600
    assert "wall time, speed 1" in result.output
    assert "moved to today" in result.output
    assert "its last 7 days repeat for ever" in result.output
    assert len(lines) <= 24


@pytest.mark.slow
def test_a_made_up_market_never_ends(tmp_path: Path) -> None:
    asked = ["--port", "0", "--for", "100ms", "--keys", str(tmp_path), "--data", "synthetic-3"]

    result = CliRunner().invoke(exchange, asked)

    assert result.exit_code == 0, result.output
    assert "3 symbols" in result.output
    assert "it never ends" in result.output


def test_it_lists_the_data_sets() -> None:
    result = CliRunner().invoke(exchange, ["--data", "list"])

    assert result.exit_code == 0
    for data_set in DATA_SETS:
        assert f"{data_set.name} " in result.output


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        pytest.param(["--start", "noon"], 2, "is no time", id="start"),
        pytest.param(["--for", "soon"], 2, "is not a span of time", id="span"),
        pytest.param(["--speed", "0"], 2, "--speed", id="speed"),
        pytest.param(["--data", "nowhere", "--port", "0"], 3, "error: cannot read", id="data"),
        pytest.param(
            ["--start", "1999-01-01", "--port", "0"], 3, "error: the recorded data plays", id="then"
        ),
        pytest.param(["--scenario", "none"], 3, "add --data synthetic", id="scenario"),
    ],
)
def test_a_wrong_start_ends_with_a_message_and_no_traceback(
    asked: list[str], code: int, said: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(exchange, [*asked, "--keys", str(tmp_path)])

    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output
