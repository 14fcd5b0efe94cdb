"""Ports that others hold: an exchange says so and ends, a run goes on without its panel."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.testing.two_books import disagreements
from livespot.testing.workshop import PATIENT, until, workshop

_QUIET = "2021-04-21T12:00"


@contextmanager
def _taken() -> Iterator[int]:
    """A port somebody else listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


@pytest.mark.slow
async def test_an_exchange_whose_port_is_taken_says_so_and_ends(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        with _taken() as port:
            ended = await shop.call("exchange", "--port", str(port), seconds=60)

        assert ended.process.returncode == ExitCode.PREFLIGHT
        assert str(port) in ended.errors
        assert "Traceback" not in ended.errors


@pytest.mark.slow
async def test_a_run_whose_panel_port_is_taken_trades_without_a_panel(tmp_path: Path) -> None:
    with _taken() as port:
        config = PATIENT.replace("[panel]\nport = 0", f"[panel]\nport = {port}")
        async with workshop(tmp_path, config) as shop:
            await shop.exchange(start=_QUIET, speed=5)
            run = shop.sim("--resume")
            await shop.mode("NORMAL", by=run, seconds=60)
            await until(lambda: str(port) in run.output + run.errors, 20, "a word on the port")
            run.signal(signal.SIGTERM)

            assert await run.ended() == ExitCode.CLEAN
            assert "Traceback" not in run.errors
            assert shop.rows("SELECT 1 FROM alerts WHERE code = 'ACTOR_FAILED'") == []
            assert await disagreements(shop.paths) == []
