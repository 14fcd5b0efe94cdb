"""Replays one recorded trade in two processes at once, for the verify gates."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec

from livespot.evidence.gates.results import Rehearsal
from livespot.runtime.environment import environment_of_a_child
from livespot.runtime.paths import Paths
from livespot.runtime.replay_difference import first_difference
from livespot.runtime.replay_report import ReplayReport

# From shortly before an entry until after its stop and the reconciliation that follows.
_SPAN = ("--from", "2021-04-22T00:04", "--for", "330s", "--symbols", "SOLUSDT", "--seed", "7")
_PATIENCE_SECONDS = 240
# Two hash seeds: what depends on the order of hashes cannot be the same under both.
_HASH_SEEDS = {"first": "1", "second": "4242"}


class Rehearsals:
    """Replays once, however many gates ask."""

    def __init__(self, scratch: Path, config_path: Path | None) -> None:
        self._scratch = scratch
        self._config = config_path
        self._played: Rehearsal | None = None

    async def __call__(self) -> Rehearsal:
        """The two replays held together. Blocks meanwhile: a gate has nothing else to do."""
        if self._played is None:
            self._played = _play(self._scratch, self._config)
        return self._played


def _play(scratch: Path, config_path: Path | None) -> Rehearsal:
    started = {
        name: _start(scratch / name, seed, config_path) for name, seed in _HASH_SEEDS.items()
    }
    said: dict[str, bytes] = {}
    try:
        for name, process in started.items():
            said[name], error = process.communicate(timeout=_PATIENCE_SECONDS)
            if process.returncode:
                last = error.decode(errors="replace").strip().splitlines()[-1:]
                code = process.returncode
                return Rehearsal(
                    summary=None, failure=f"the replay ended with exit code {code}: {last}"
                )
    except subprocess.TimeoutExpired:
        return Rehearsal(summary=None, failure=f"no end within {_PATIENCE_SECONDS} s")
    finally:
        for process in started.values():
            process.kill()
            process.communicate()
    return _compared(scratch, msgspec.json.decode(said["first"], type=ReplayReport))


def _start(var: Path, hash_seed: str, config_path: Path | None) -> "subprocess.Popen[bytes]":
    arguments = [
        # -P: a file in the working directory must not stand in for a module of ours.
        *(sys.executable, "-P", "-m", "livespot_cmd.main", "replay", "--json", *_SPAN),
        *("--var", str(var)),
        *(("--config", str(config_path)) if config_path is not None else ()),
    ]
    return subprocess.Popen(  # noqa: S603  the arguments are those above
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment_of_a_child(), "PYTHONHASHSEED": hash_seed},
    )


def _compared(scratch: Path, report: ReplayReport) -> Rehearsal:
    places = [Paths(var=scratch / name) for name in _HASH_SEEDS]
    try:
        difference = first_difference(*places)
    except (sqlite3.Error, OSError) as error:
        return Rehearsal(summary=report.summary, failure=f"nothing to compare: {error}")
    return Rehearsal(
        summary=report.summary, audit_hash=report.audit_hash, difference=difference or ""
    )
