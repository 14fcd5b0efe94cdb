"""A process that has read its secrets leaves no core file and cannot be looked into."""

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import ctypes, resource, sys
from pathlib import Path
from livespot.runtime.environment import read_secrets
read_secrets(Path(sys.argv[1]))
print(*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux about itself")
def test_whoever_reads_the_secrets_can_no_longer_be_dumped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path / ".env")]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30)

    assert said.stdout.decode().split() == ["0", "0", "0"]
