from pathlib import Path

import pytest

from livespot.runtime.replay_run import run_virtual
from livespot.testing.search.drawing import HOURS
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.running import market_of
from livespot.testing.search.witness import Witness, read_witness


@pytest.fixture(scope="session")
def quiet_plan() -> RunPlan:
    """One entry without any fault, and the position still open at the end."""
    return RunPlan(
        seed=7,
        start_ms=HOURS[0].entry_ms - 100_000,
        safety_ms=120_000,
        liveness_ms=25_000,
        settle_ms=15_000,
        symbols=("SOLUSDT",),
    )


@pytest.fixture(scope="session")
def witness(quiet_plan: RunPlan, tmp_path_factory: pytest.TempPathFactory) -> Witness:
    """What a run without faults left behind; tests plant violations in copies of it."""
    directory: Path = tmp_path_factory.mktemp("quiet")
    market = market_of(quiet_plan.symbols, quiet_plan.start_ms)
    return read_witness(quiet_plan, run_virtual(order_of(quiet_plan, directory, market)))
