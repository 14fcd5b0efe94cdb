"""`report`, `triage`, `verify` and `replay RUN` as processes, over one recorded replay."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode

pytestmark = pytest.mark.slow
_SPAN = ("--from", "2021-04-22T00:04", "--for", "90s", "--symbols", "SOLUSDT")
_PLAN = """
[[faults]]
id = "no-time"
match = { path = "/api/v3/time" }
when = { count = 1 }
what = { verb = "net.drop_request", target = "rest", then = "reset" }
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("recorded") / "var"
    done = run("replay", *_SPAN, "--var", var, "--json")
    assert done.returncode == ExitCode.CLEAN, done.stderr
    return var


def test_a_report_tells_of_the_run_and_leaves_its_folder_alone(
    recorded: Path, tmp_path: Path
) -> None:
    before = sorted((path.name, path.stat().st_mtime_ns) for path in recorded.rglob("runs/*/*"))
    told = run("report", "LAST", "--var", recorded)
    page = run("report", "--var", recorded, "--html", tmp_path / "page.html")

    assert told.returncode == page.returncode == ExitCode.CLEAN
    assert "## Survival" in told.stdout
    (bare,) = re.findall(r"^## Time without a stop\n\n(.*?)\n\n", told.stdout, re.S | re.M)
    assert "by our clock" in bare
    assert re.search(r"\d+ ms \| (\d+ ms \| the exchange|known once)", bare)
    assert "Changed since" not in told.stderr
    assert (tmp_path / "page.html").read_text().endswith("</html>\n")
    after = sorted((path.name, path.stat().st_mtime_ns) for path in recorded.rglob("runs/*/*"))
    assert before == after
    assert "SHA256SUMS" in {name for name, _ in after}


def test_runs_are_listed_and_a_stranger_is_named(recorded: Path) -> None:
    listed = run("report", "--list", "--var", recorded)
    stranger = run("report", "run_1999", "--var", recorded)

    assert listed.stdout.startswith("run_20210422_0004")
    assert "exit code 0" in listed.stdout
    assert stranger.returncode == ExitCode.PREFLIGHT
    assert f"Next: livespot report --var {recorded} --list" in stranger.stderr


def test_a_page_for_a_directory_that_is_not_there_is_refused(recorded: Path) -> None:
    refused = run("report", "--var", recorded, "--html", "/nowhere/at/all.html")

    assert refused.returncode == ExitCode.USAGE
    assert "there is no directory /nowhere/at" in refused.stderr


def test_triage_gives_one_verdict_and_one_next_action(recorded: Path) -> None:
    found = run("triage", "LAST", "--var", recorded, "--json")
    document = json.loads(found.stdout)

    assert document["verdict"] == "look at the number of events"
    assert document["next_action"] == f"livespot sim --var {recorded} --for 3m"
    assert found.returncode == ExitCode.DIFFERENT


def test_one_gate_prints_its_verdict_and_keeps_a_receipt(recorded: Path) -> None:
    done = run("verify", "events", "--var", recorded)

    assert done.returncode == ExitCode.CLEAN, done.stdout
    assert done.stdout.startswith("PASS       events")
    (receipt,) = (recorded / "receipts").rglob("events-*.json")
    assert json.loads(receipt.read_text())["verdict"]["outcome"] == "PASS"


def test_triage_tells_what_the_gates_answered_last(recorded: Path, tmp_path: Path) -> None:
    var = shutil.copytree(recorded, tmp_path / "var")
    kept = sorted((var / "receipts").rglob("events-*.json")) or [
        _receipt(run("verify", "events", "--var", var))
    ]
    failed = kept[-1].read_text().replace('"PASS"', '"FAIL"')
    kept[-1].with_name("events-29991231_000000_000.json").write_text(failed)

    told = run("triage", "--var", var, "--json")

    (gates,) = [look for look in json.loads(told.stdout)["looks"] if look["name"] == "the gates"]
    assert not gates["good"]
    assert "failed: events" in gates["found"]


def _receipt(done: subprocess.CompletedProcess[str]) -> Path:
    return Path(done.stderr.split("receipt ")[1].strip())


def test_a_recorded_replay_comes_out_to_its_byte_again(recorded: Path, tmp_path: Path) -> None:
    again = run("replay", "LAST", "--of", recorded, "--var", tmp_path / "again", "--json")

    assert again.returncode == ExitCode.CLEAN, again.stderr
    check = json.loads(again.stdout)["check"]
    assert check["verdict"] == "identical"
    assert check["detail"].endswith("came out again")


def test_the_first_difference_to_the_record_is_named(recorded: Path, tmp_path: Path) -> None:
    manifest = next(recorded.rglob("run_manifest.json"))
    kept = manifest.read_text()
    try:
        manifest.write_text(kept.replace('"seed": 7', '"seed": 8'))
        other = run("replay", "LAST", "--of", recorded, "--var", tmp_path / "other")
    finally:
        manifest.write_text(kept)

    assert other.returncode == ExitCode.DIFFERENT
    assert "DIFFERS first at event 1" in other.stdout


def test_recorded_answers_and_faults_are_played_again(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(_PLAN)
    # Under faults each frame travels alone: the questions are those of a run with the same plan.
    asked = run("replay", *_SPAN, "--faults", plan, "--var", tmp_path / "asked", "--json")
    assert asked.returncode == ExitCode.CLEAN, asked.stderr
    first = run(
        *("replay", *_SPAN, "--gate", tmp_path / "asked", "--faults", plan),
        *("--var", tmp_path / "first", "--json"),
    )
    again = run("replay", "LAST", "--of", tmp_path / "first", "--var", tmp_path / "a", "--json")

    assert first.returncode == again.returncode == ExitCode.CLEAN, first.stderr + again.stderr
    told = json.loads(again.stdout)
    assert told["check"]["verdict"] == "identical"
    assert "1 proposed, reached again with the recorded answers" in told["recomputed"]


def test_a_run_without_a_manifest_cannot_be_played_again(recorded: Path, tmp_path: Path) -> None:
    manifest = next(recorded.rglob("run_manifest.json"))
    aside = manifest.rename(tmp_path / "aside.json")
    try:
        refused = run("replay", "LAST", "--of", recorded)
    finally:
        aside.rename(manifest)

    assert refused.returncode == ExitCode.PREFLIGHT
    assert f"Next: livespot verify --var {recorded} determinism" in refused.stderr


def test_what_of_a_simulation_cannot_come_back_is_said(recorded: Path, tmp_path: Path) -> None:
    manifest = next(recorded.rglob("run_manifest.json"))
    kept = manifest.read_text()
    try:
        manifest.write_text(kept.replace('"virtual": true', '"virtual": false'))
        again = run("replay", "LAST", "--of", recorded, "--var", tmp_path / "a", "--once")
    finally:
        manifest.write_text(kept)

    assert again.returncode == ExitCode.CLEAN, again.stderr
    assert "not repeated  the recorded run's own timings" in again.stdout
