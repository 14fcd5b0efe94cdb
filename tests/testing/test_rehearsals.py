"""The first fold of each broken situation shows what the answer key asks for."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from anyio import to_thread
from click.testing import CliRunner

from livespot.runtime.paths import Paths
from livespot.runtime.placed import placed
from livespot.testing.rehearsals import REHEARSALS
from livespot.testing.rehearse import rehearse, staged
from livespot_cmd.main import livespot

ROOT = Path(__file__).resolve().parents[2]
_TOP_LINES = 8


def _flat(text: str) -> str:
    """Without the frame and the line ends a terminal of 80 columns puts into a sentence."""
    return " ".join(text.replace("│", " ").split())


def _tight(text: str) -> str:
    """Without any space: a path that is longer than a line is broken within a word."""
    return "".join(_flat(text).split())


def _printed(*arguments: str) -> str:
    result = CliRunner().invoke(livespot, arguments, standalone_mode=False)
    assert result.exception is None
    return result.stdout


def _call(*arguments: str) -> str:
    return _flat(_printed(*arguments))


@pytest.mark.parametrize("number", REHEARSALS)
async def test_status_next_and_panel_show_the_answer(tmp_path: Path, number: int) -> None:
    async with staged(tmp_path / "var", number) as (rehearsal, url):
        answer, var = rehearsal.answer, ("--var", str(tmp_path / "var"))
        page = await to_thread.run_sync(lambda: _printed("status", *var))
        told, advice = _flat(page), placed(rehearsal.answer.advice, Paths(var=tmp_path / "var"))
        line = await to_thread.run_sync(lambda: _call("next", *var))
        assert (url != "") is rehearsal.alive
        board = None
        if url:
            async with httpx.AsyncClient(trust_env=False) as http:
                answered = await http.get(url.replace("/dashboard", "/api/dashboard"))
            board = answered.raise_for_status().json()

    assert answer.state in told
    assert answer.code in told
    assert _tight(advice) in _tight(page)
    # Nobody has to read further than this to know the state, the code and what to do.
    top = _tight("\n".join(page.splitlines()[:_TOP_LINES]))
    assert all(_tight(word) in top for word in (answer.state, answer.code, advice))
    assert line.startswith(advice)
    if board is not None:
        assert board["header"]["sysmode"] == answer.state
        assert board["header"]["reasons"][0]["code"] == answer.code
        assert board["next"]["action"] == answer.advice


def test_no_two_situations_have_the_same_answer() -> None:
    assert len({it.answer.code for it in REHEARSALS.values()}) == len(REHEARSALS) == 5
    assert len({it.answer.advice for it in REHEARSALS.values()}) == 5


def test_the_key_is_printed_when_it_is_asked_for() -> None:
    told = CliRunner().invoke(rehearse, ["4", "--answer"]).stdout

    assert "DISK_LOW_PAUSE" in told


def test_a_directory_that_exists_is_left_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(rehearse, ["1", "--var", str(tmp_path)])

    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_script_stages_waits_and_tells_the_time(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "livespot.testing.rehearse", "2", "--var", str(tmp_path / "new")],
        input="\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )

    assert "livespot status --var" in done.stdout
    assert "the goal is below 60" in done.stdout
    assert "code       CRASHED" in done.stdout
