"""Writes the golden snapshots: real markets of April 2021, and what was decided on each.

Run it only when a decision is meant to change, and say in the commit why. A stored snapshot stays
as it is, whatever the configuration's hash has become since; only new instants are built.
"""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from livespot.contracts.canonical import canonical_json
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Mode
from livespot.rules.strategies import strategy_for
from livespot.testing.recorded_market import snapshot_at

GOLDEN = Path(__file__).parent.parent / "data" / "golden-decisions.jsonl.gz"
_INSTANTS = {
    "SOLUSDT": ("2021-04-20T11:50", "2021-04-20T11:55", "2021-04-19T08:00"),
    "MATICUSDT": (
        "2021-04-15T21:35",
        "2021-04-16T01:10",
        "2021-04-20T11:45",
        "2021-04-20T12:30",
        "2021-04-20T16:50",
        "2021-04-18T09:00",
        # A range whose margin is one basis point below its own minimum, above a trend's.
        "2021-04-21T05:50",
    ),
    "LTCUSDT": (
        "2021-04-16T21:00",
        "2021-04-16T21:05",
        "2021-04-16T21:30",
        "2021-04-17T03:10",
        "2021-04-17T04:40",
        "2021-04-18T10:00",
        "2021-04-15T03:10",
    ),
    "LINKUSDT": ("2021-04-15T00:25", "2021-04-19T02:20", "2021-04-19T14:00"),
    "DOGEUSDT": ("2021-04-18T00:05", "2021-04-18T06:30"),
    "BTCUSDT": ("2021-04-18T04:00", "2021-04-20T18:00"),
    "ETHUSDT": ("2021-04-19T12:00",),
    "ADAUSDT": ("2021-04-20T23:30",),
    # A trend that moves too little, and the same with too little volume as well.
    "BNBUSDT": ("2021-04-19T08:05", "2021-04-19T05:55"),
    # Only the volume is missing, by less than a thousandth of its limit.
    "XRPUSDT": ("2021-04-17T09:10",),
}


class Golden(msgspec.Struct, frozen=True):
    """`outcome` is the decision's id, or the failed checks in order."""

    snapshot: Snapshot
    outcome: str


def outcome_of(snapshot: Snapshot) -> str:
    settings = Settings()
    decided = strategy_for(settings).propose(
        snapshot, settings, mode=Mode.SIM, cycle_id="cyc", now_ms=0
    )
    if isinstance(decided, Decision):
        return decided.decision_id
    return ",".join(decided.reasons)


def stored() -> list[Golden]:
    lines = gzip.decompress(GOLDEN.read_bytes()).splitlines()
    return [msgspec.json.decode(line, type=Golden) for line in lines]


def main() -> None:
    lines = []
    kept = {(g.snapshot.symbol, g.snapshot.exchange_time_ms): g.snapshot for g in stored()}
    for symbol, instants in _INSTANTS.items():
        for text in instants:
            at = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
            snapshot = kept.get((symbol, at)) or snapshot_at(symbol, at)
            lines.append(canonical_json(Golden(snapshot=snapshot, outcome=outcome_of(snapshot))))
    GOLDEN.write_bytes(gzip.compress(b"\n".join(lines), mtime=0))


if __name__ == "__main__":
    main()
