"""How the pump rests between events, and who may wake it."""

from datetime import UTC, datetime
from itertools import pairwise

import anyio
import pytest

from livespot.exchange.outbound import Outbound
from livespot.exchange.service import opened
from livespot.exchange.settings import ExchangeSettings
from livespot.exchange.stream_channels import Listener
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop, run_virtually

_START_MS = int(datetime(2021, 4, 22, 0, 4, tzinfo=UTC).timestamp() * 1000)
_SPAN_MS = 20_000
_QUANTUM_MS = 50


def _steps(asked_ms: int | None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """When the pump of one quiet symbol works; a stream of ten turns a second is asked for once."""
    loop = VirtualLoop()
    clock = VirtualClock(loop, _START_MS)
    settings = ExchangeSettings(symbols=frozenset({"SOLUSDT"}), start_ms=_START_MS)
    steps: list[int] = []

    async def play() -> None:
        with opened(settings, clock) as (core, pump, _):
            step = pump.step

            def counted() -> None:
                steps.append(clock.monotonic_ms())
                step()

            monkeypatch.setattr(pump, "step", counted)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pump.run)
                if asked_ms is not None:
                    await clock.sleep(asked_ms / 1000)
                    listener = Listener(Outbound("client", 10_000))
                    core.market.subscribe(listener, "solusdt@depth@100ms")
                await clock.sleep((_SPAN_MS - clock.monotonic_ms()) / 1000)
                tasks.cancel_scope.cancel()

    run_virtually(loop, play)
    return steps


def test_a_stream_asked_for_while_the_pump_rests_has_its_first_turn_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = [ms for ms in _steps(None, monkeypatch) if ms > _SPAN_MS // 2]
    rest_ms, asleep_ms = max((later - ms, ms) for ms, later in pairwise(alone))
    asked_ms = asleep_ms + 10

    asked = [ms for ms in _steps(asked_ms, monkeypatch) if ms >= asked_ms]

    assert rest_ms > 100 + _QUANTUM_MS
    assert asked[0] - asked_ms <= 100
    assert max(later - ms for ms, later in pairwise(asked)) <= 100 + _QUANTUM_MS
