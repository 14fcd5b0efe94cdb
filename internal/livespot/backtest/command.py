"""One backtest from request to report: data, exchange, loop, files."""

import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from livespot.backtest.desk import Desk
from livespot.backtest.minutes import MinuteFeed
from livespot.backtest.play import Backtest, Log
from livespot.backtest.report import About, Cost, reported, told
from livespot.contracts.canonical import canonical_json
from livespot.contracts.errors import ExitCode
from livespot.contracts.market import SymbolInfo
from livespot.contracts.settings import Settings
from livespot.exchange.engine import Engine
from livespot.exchange.model import SymbolSpec
from livespot.exchange.settings import DEMO_ACCOUNT
from livespot.rules.costs import fees_of
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.runtime.replay_request import Planned, Wish, planned
from livespot.runtime.replay_screen import Interruption, ReplayScreen
from livespot.runtime.strategy_file import chosen_strategy
from livespot.runtime.swap_rehearsal import only_if
from livespot.venue.codec_account import decode_commission
from livespot.venue.codec_info import read_symbol

LOG, REPORT = "backtest.jsonl", "backtest.json"


class LogFile:
    """One canonical line per logged fact, and the hash of all lines."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._lines = 0

    def write(self, kind: str, at_ms: int, **facts: object) -> None:
        self._lines += 1
        line = canonical_json({"seq": self._lines, "kind": kind, "at_ms": at_ms, **facts}) + b"\n"
        self._hash.update(line)
        self._file.write(line)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def backtest(
    wish: Wish, loaded: LoadedSettings, place: Callable[[], Paths], screen: ReplayScreen
) -> ExitCode:
    """Run the backtest and report it. `place` is called once nothing prevents the run.

    Raises:
        PreflightFailed: the data, the span or the directory cannot be used.
        ConfigInvalid: the strategy is not what the configuration says.
    """
    plan = planned(wish)
    # The position actor swaps the stops of a virtual trail, and a backtest has none.
    loaded = only_if(loaded, proven=False)
    prepared = built(plan, loaded.settings, seed=wish.seed)
    disk, paths, interruption = RealDisk(), place(), Interruption()
    screen.say(f"backtest in {paths.var}; Ctrl-C ends it in order")
    with (
        disk.lock(paths.lock, f"backtest, process {os.getpid()}"),
        interruption.watched(),
        (paths.var / LOG).open("wb") as file,
    ):
        log = LogFile(file)

        def goes_on(done_ms: int) -> bool:
            screen.show(plan.start_ms, done_ms, plan.span_ms)
            return not interruption.asked

        with screen.progress():
            test, cost = _played(prepared(log), plan, goes_on)
    report = reported(
        plan,
        test,
        cost,
        run=About(
            seed=wish.seed,
            config_hash=loaded.config_hash,
            log=str(paths.var / LOG),
            log_sha256=log.sha256,
        ),
    )
    disk.write_atomic(paths.var / REPORT, msgspec.json.encode(report))
    screen.tell(report, told(report))
    return ExitCode.CLEAN


def built(plan: Planned, settings: Settings, *, seed: int) -> Callable[[Log], Backtest]:
    """Everything but the log, so that an impossible run is refused before a file is created."""
    strategy = chosen_strategy(settings)
    specs = [spec for spec in plan.source.symbols if spec.symbol in plan.source.series]
    engine = Engine(specs, (DEMO_ACCOUNT,))
    feeds = {}
    for spec in sorted(specs, key=lambda spec: spec.symbol):
        body = engine.commission(DEMO_ACCOUNT.account_id, {"symbol": spec.symbol})
        rates = decode_commission(msgspec.json.encode(body))
        fees = fees_of(rates, settings.venue, discount_usable=False)
        feeds[spec.symbol] = MinuteFeed(
            plan.source, _info(spec), fees, start_ms=plan.start_ms, seed=seed
        )
    desk = Desk(engine, feeds, settings)
    return lambda log: Backtest(
        settings=settings, strategy=strategy, feeds=feeds, desk=desk, log=log
    )


def _info(spec: SymbolSpec) -> SymbolInfo:
    """The symbol as the runtime would read it from exchangeInfo."""
    row = dict(spec.info) | {"status": spec.status}
    return read_symbol(msgspec.Raw(msgspec.json.encode(row)))


def _played(test: Backtest, plan: Planned, goes_on: Callable[[int], bool]) -> tuple[Backtest, Cost]:
    began_quote = test.desk.equity()
    end_ms = plan.start_ms + plan.span_ms
    with _settled_garbage():
        began_ns = time.process_time_ns()
        reached_ms = test.run(plan.start_ms, end_ms, goes_on)
        cpu_ms = (time.process_time_ns() - began_ns) // 1_000_000
    return test, Cost(virtual_ms=reached_ms - plan.start_ms, cpu_ms=cpu_ms, began_quote=began_quote)


@contextmanager
def _settled_garbage() -> Iterator[None]:
    """Freeze the objects made before the first minute, so that no collection visits them."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
