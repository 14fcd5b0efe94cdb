"""The exchange the foreign clients talk to: a process of its own, on the machine's time.

Reads one JSON line of options, answers one JSON line of addresses, and serves until its input
closes, so that it never outlives the tests that started it.
"""

import hashlib
import json
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from livespot.exchange.model import AccountSpec
from livespot.exchange.recorded import packaged_data
from livespot.exchange.service import serve_exchange
from livespot.exchange.settings import ApiKey, ExchangeSettings, RequestLimits
from livespot.runtime.clock import SystemClock

MINUTE_MS = 60_000
# 2021-04-20T11:47 UTC in the record is the present.
PRESENT_MS = 1_618_919_220_000
ALL_TYPES = [
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]


def shifted_data(directory: Path, now_ms: int, symbols: list[str]) -> None:
    """The packaged record as if it ended in the near future, every order type allowed."""
    source = packaged_data()
    manifest = json.loads((source / "manifest.json").read_text())
    rules = json.loads((source / manifest["symbols_file"]["file"]).read_text())
    chosen = [rule | {"orderTypes": ALL_TYPES} for rule in rules if rule["symbol"] in symbols]
    text = json.dumps(chosen).encode()
    (directory / "symbols.json").write_bytes(text)
    shift_ms = (now_ms - PRESENT_MS) // MINUTE_MS * MINUTE_MS
    manifest |= {
        "start_ms": manifest["start_ms"] + shift_ms,
        "end_ms": manifest["end_ms"] + shift_ms,
        "symbols_file": {
            "file": "symbols.json",
            "sha256": hashlib.sha256(text).hexdigest(),
        },
        "series": {name: manifest["series"][name] for name in symbols},
    }
    for series in manifest["series"].values():
        (directory / series["file"]).write_bytes((source / series["file"]).read_bytes())
    (directory / "manifest.json").write_text(json.dumps(manifest))


def settings_of(options: dict[str, Any], data: Path) -> ExchangeSettings:
    """Many equal accounts, so that every test has one of its own; three keys each."""
    accounts: list[AccountSpec] = []
    keys: list[ApiKey] = []
    for number in range(options["accounts"]):
        name = f"account-{number}"
        balances = {asset: Decimal(amount) for asset, amount in options["balances"].items()}
        accounts.append(AccountSpec(account_id=name, uid=number + 1, balances=balances))
        keys += [
            ApiKey(key=f"hmac-{number}", account_id=name, hmac_secret=options["secret"]),
            ApiKey(key=f"rsa-{number}", account_id=name, public_key_pem=options["rsa"]),
            ApiKey(key=f"ed25519-{number}", account_id=name, public_key_pem=options["ed25519"]),
        ]
    return ExchangeSettings(
        data=data,
        accounts=tuple(accounts),
        keys=tuple(keys),
        request_limits=RequestLimits(**options["request_limits"]),
    )


async def serve(options: dict[str, Any], data: Path) -> None:
    clock = SystemClock()
    shifted_data(data, clock.now_ms(), options["symbols"])
    async with anyio.create_task_group() as tasks:
        address = await tasks.start(serve_exchange, settings_of(options, data), clock)
        sys.stdout.write(msgspec.json.encode(address).decode() + "\n")
        sys.stdout.flush()
        await anyio.to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        anyio.run(serve, json.loads(sys.stdin.readline()), Path(place))
