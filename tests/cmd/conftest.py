"""An embedded exchange in a process of its own, for commands that bring their own loop."""

import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def exchange_place() -> Iterator[str]:
    """`host:port` of a running exchange."""
    command = [sys.executable, "-m", "livespot_cmd.main", "exchange", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        yield said.split("http://")[1].split(",")[0]
        process.terminate()
