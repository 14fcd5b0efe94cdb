"""One signal ends the process; those after it neither kill it nor ask again."""

import os
import signal
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest

from livespot.runtime.end_signals import ended_by_signals

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_come_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", _NUMBERS)
async def test_a_signal_is_told_by_its_name(number: signal.Signals) -> None:
    told: list[str] = []
    come = anyio.Event()

    def asked(name: str) -> None:
        told.append(name)
        come.set()

    with ended_by_signals(asked):
        os.kill(os.getpid(), number)
        await come.wait()

    assert told == [number.name]


async def test_after_the_first_the_rest_of_the_process_is_not_cut_short() -> None:
    with ended_by_signals(lambda name: None):
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.lowlevel.checkpoint()

    for number in _NUMBERS:
        assert signal.getsignal(number) is signal.SIG_IGN
        os.kill(os.getpid(), number)


async def test_without_any_everything_is_as_before() -> None:
    before = [signal.getsignal(number) for number in _NUMBERS]

    with ended_by_signals(lambda name: None):
        await anyio.lowlevel.checkpoint()

    assert [signal.getsignal(number) for number in _NUMBERS] == before
