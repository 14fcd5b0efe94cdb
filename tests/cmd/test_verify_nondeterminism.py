"""`verify determinism` catches a rule whose outcome depends on an order nobody fixed."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode

# Sets of texts are walked in another order in every process with another hash seed.
_RULE = """
import dataclasses

from livespot.contracts.codes import ReasonCode
from livespot.rules.pullback import PullbackMaker
from livespot.rules.strategy import Blocked

_WHYS = {ReasonCode.STRAT_WARMUP, ReasonCode.STRAT_VOLUME_LOW, ReasonCode.STRAT_REGIME_WEAK,
         ReasonCode.STRAT_PULLBACK_FAIL, ReasonCode.STRAT_SPREAD_OPENING}


class Moody(PullbackMaker):
    def propose(self, snapshot, settings, *, mode, cycle_id, now_ms):
        found = super().propose(snapshot, settings, mode=mode, cycle_id=cycle_id, now_ms=now_ms)
        if isinstance(found, Blocked):
            return dataclasses.replace(found, reasons=tuple(_WHYS))
        return found


STRATEGY = Moody(id="MOODY")
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.mark.slow
def test_a_rule_that_walks_a_set_is_caught_and_its_event_named(tmp_path: Path) -> None:
    rule = tmp_path / "moody.py"
    rule.write_text(_RULE)
    config = tmp_path / "moody.toml"
    digest = hashlib.sha256(rule.read_bytes()).hexdigest()
    config.write_text(
        f'[strategy]\nid = "MOODY"\nversion = "1.0.0"\nfile = "{rule}"\nfile_sha256 = "{digest}"\n'
    )
    span = ("--from", "2021-04-22T00:04", "--for", "90s", "--symbols", "SOLUSDT")
    assert run("replay", *span, "--var", tmp_path / "var", "--json").returncode == ExitCode.CLEAN

    judged = run("verify", "determinism", "--var", tmp_path / "var", "--config", config, "--json")

    (verdict,) = json.loads(judged.stdout)
    assert judged.returncode == ExitCode.DIFFERENT
    assert verdict["reasons"] == ["REPLAY_DIFFERS"]
    assert "DECISION_PROPOSED" in verdict["details"][0]
