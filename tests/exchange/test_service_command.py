"""`livespot exchange` says where it listens and ends with the right code."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from livespot.exchange.journal import LifeRow, read_journal
from livespot_cmd.exchange import exchange


@pytest.mark.slow
def test_it_serves_for_the_asked_span_and_ends_clean(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    state = tmp_path / "state.json"
    asked = ["--port", "0", "--speed", "100", "--for", "150s"]

    result = CliRunner().invoke(
        exchange, [*asked, "--journal", str(journal), "--state-file", str(state)]
    )

    assert result.exit_code == 0, result.output
    assert "exchange on http://127.0.0.1:" in result.output
    lives = [row for row in read_journal(journal) if isinstance(row, LifeRow)]
    assert [life.event for life in lives] == ["start", "stop"]
    assert not state.exists()


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        pytest.param(["--start", "noon"], 2, "is no time", id="start"),
        pytest.param(["--for", "soon"], 2, "is not a span of time", id="span"),
        pytest.param(["--speed", "0"], 2, "--speed", id="speed"),
        pytest.param(["--data", "nowhere", "--port", "0"], 3, "error: cannot read", id="data"),
    ],
)
def test_a_wrong_start_ends_with_a_message_and_no_traceback(
    asked: list[str], code: int, said: str
) -> None:
    result = CliRunner().invoke(exchange, asked)

    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output
