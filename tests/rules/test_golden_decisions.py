"""Pinned decisions on real snapshots: a change here is a change of what would be traded."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from livespot.contracts import ids
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Mode, RegimeLabel
from livespot.rules.snapshot import identified, snapshot_hash, snapshot_json
from livespot.rules.strategies import strategy_for
from livespot.testing.recorded_market import snapshot_at

_GOLDEN = Path(__file__).parent.parent / "data" / "golden-decisions.jsonl.gz"
_ELSEWHERE = """
import gzip, hashlib, locale, sys
from decimal import Decimal
import msgspec
from livespot.contracts.canonical import canonical_json
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Mode
from livespot.rules.strategies import strategy_for
from livespot.testing.market_values import NOW_MS, a_snapshot
from livespot.testing.recorded_market import snapshot_at
class Golden(msgspec.Struct):
    snapshot: Snapshot
locale.setlocale(locale.LC_ALL, "")
recorded = snapshot_at("SOLUSDT", 1_618_919_400_000)
decided = strategy_for(Settings()).propose(
    a_snapshot(), Settings(), mode=Mode.SIM, cycle_id="cyc", now_ms=0)
stored = gzip.decompress(open(sys.argv[1], "rb").read()).splitlines()
outcomes = [
    msgspec.to_builtins(strategy_for(Settings()).propose(
        msgspec.json.decode(line, type=Golden).snapshot, Settings(),
        mode=Mode.SIM, cycle_id="cyc", now_ms=0), builtin_types=(Decimal,))
    for line in stored
]
seen = canonical_json([decided, recorded, f"{NOW_MS}", outcomes])
print(recorded.snapshot_id, hashlib.sha256(seen).hexdigest())
"""


class _Golden(msgspec.Struct, frozen=True):
    snapshot: Snapshot
    outcome: str


def _stored() -> list[_Golden]:
    lines = gzip.decompress(_GOLDEN.read_bytes()).splitlines()
    return [msgspec.json.decode(line, type=_Golden) for line in lines]


def _outcome(snapshot: Snapshot) -> str:
    settings = Settings()
    decided = strategy_for(settings).propose(
        snapshot, settings, mode=Mode.SIM, cycle_id="cyc", now_ms=0
    )
    return decided.decision_id if isinstance(decided, Decision) else ",".join(decided.reasons)


def test_every_stored_snapshot_still_decides_the_same() -> None:
    stored = _stored()

    assert len(stored) >= 20
    assert [_outcome(golden.snapshot) for golden in stored] == [g.outcome for g in stored]
    assert sum(golden.outcome.startswith("dec_") for golden in stored) >= 10


def test_every_stored_snapshot_still_has_its_hash() -> None:
    assert all(snapshot_hash(g.snapshot) == g.snapshot.snapshot_hash for g in _stored())


def test_every_stored_snapshot_is_named_after_its_hash() -> None:
    for golden in _stored():
        snapshot = golden.snapshot
        assert snapshot.snapshot_id == ids.snapshot_id(
            snapshot.symbol, snapshot.exchange_time_ms, snapshot.snapshot_hash
        )


@pytest.mark.slow
@pytest.mark.parametrize("golden", _stored(), ids=lambda golden: golden.snapshot.snapshot_id)
def test_every_stored_snapshot_is_built_again_from_its_candles(golden: _Golden) -> None:
    """Indicators, regime, readings and hash: byte for byte what they were when it was stored.

    Only the hashes of the configuration are taken over: a new setting changes those, and no more.
    """
    stored = golden.snapshot

    built = snapshot_at(stored.symbol, stored.exchange_time_ms)
    again = identified(
        msgspec.structs.replace(
            built, config_hash=stored.config_hash, thresholds_hash=stored.thresholds_hash
        )
    )

    assert snapshot_json(again) == snapshot_json(stored)


def test_the_stored_snapshots_hold_every_verdict_that_recorded_candles_give() -> None:
    """A fixed book and whole history leave these; the rest is held at its limits elsewhere."""
    stored = _stored()
    entered = {g.snapshot.regime.label for g in stored if g.outcome.startswith("dec_")}
    reasons = [set(g.outcome.split(",")) for g in stored if not g.outcome.startswith("dec_")]

    assert entered == {RegimeLabel.TREND, RegimeLabel.RANGE}
    assert set().union(*reasons) == {
        "STRAT_VOLUME_LOW",
        "STRAT_REGIME_WEAK",
        "REGIME_NO_TRADE",
        "STRAT_PULLBACK_FAIL",
        "STRAT_EDGE_BELOW_MIN",
    }
    for alone in ("STRAT_VOLUME_LOW", "STRAT_PULLBACK_FAIL", "STRAT_EDGE_BELOW_MIN"):
        assert {alone} in reasons


@pytest.mark.slow
def test_no_decision_depends_on_hash_seed_time_zone_or_locale() -> None:
    digests = set()
    for seed, zone, locale in (("1", "UTC", "C"), ("77", "Asia/Kathmandu", "C.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        done = subprocess.run(
            [sys.executable, "-c", _ELSEWHERE, str(_GOLDEN)],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        )
        digests.add(done.stdout)

    assert len(digests) == 1
