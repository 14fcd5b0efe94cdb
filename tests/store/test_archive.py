"""A backup for another host can be made of a state directory in which files come and go."""

from pathlib import Path

import pytest

from livespot.runtime.paths import Paths
from livespot.store.archive import pack, proven
from livespot.testing import finished_run


@pytest.mark.slow
async def test_a_file_that_goes_after_it_was_listed_stops_no_backup(tmp_path: Path) -> None:
    var = tmp_path / "var"
    await finished_run.told(var)
    (kept,) = Paths(var=var).logs.glob("audit-*.jsonl")
    # Listed like a file, and gone when it is opened.
    (kept.parent / "audit-2020-01-01.jsonl").symlink_to(tmp_path / "packed meanwhile")

    pack(var, tmp_path / "backup", version="1", at_ms=1)

    files = proven(tmp_path / "backup").files
    assert f"logs/{kept.name}" in files
    assert "logs/audit-2020-01-01.jsonl" not in files
