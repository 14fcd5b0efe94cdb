"""Carries out a plan's troubles of the machine and its operator: clock, sleep, commands."""

from collections.abc import Callable
from dataclasses import replace

from livespot.contracts.vocabulary import OperatorAction, Side
from livespot.runtime.control import CommandFile, ControlDirectory, leave_command
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import NS_PER_MS, VirtualLoop
from livespot.testing.search.board import Board
from livespot.testing.search.house_clock import HouseClock
from livespot.testing.search.troubles import ClockSet, MachineSleeps, OperatorSays, Trouble

_AT_HOME = (ClockSet, MachineSleeps, OperatorSays)


def in_its_house(around: Surroundings, loop: VirtualLoop, board: Board) -> Surroundings:
    """The surroundings with a clock that can be set and an operator who can be heard, if wanted.

    Exchange and board keep the true time.
    """
    troubles = [trouble for trouble in board.troubles if isinstance(trouble.what, _AT_HOME)]
    if not troubles:
        return around
    clock = HouseClock(loop, board.began_ms)
    paths = around.paths
    control = ControlDirectory(directory=paths.control, stop_file=paths.stop_file)
    for trouble in troubles:
        begin_ms, end_ms = board.span(trouble)
        begin, end = _turns(trouble, board, _House(loop, clock, control))
        if begin_ms < end_ms:
            loop.call_at_ns(loop.now_ns + begin_ms * NS_PER_MS, begin, None)
            loop.call_at_ns(loop.now_ns + end_ms * NS_PER_MS, end, None)
    return replace(around, clock=clock, control=control)


class _House:
    def __init__(self, loop: VirtualLoop, clock: HouseClock, control: ControlDirectory) -> None:
        self.loop = loop
        self.clock = clock
        self.control = control
        self.sleeper = 0

    def step(self, ms: int) -> None:
        self.clock.step_ms += ms

    def fall_asleep(self) -> None:
        self.sleeper = max(self.loop.points_of, default=0)
        self.loop.put_to_sleep(self.sleeper)

    def wake(self, slept_ms: int) -> None:
        self.clock.slept_ms += slept_ms
        self.loop.wake(self.sleeper)

    def hear(self, said: OperatorSays, nonce: str) -> None:
        command = CommandFile(
            action=said.action,
            reason="asked by the plan",
            symbol=said.symbol,
            side=Side.BUY if said.action is OperatorAction.EXPOSURE_OPEN else None,
            qty=said.qty,
        )
        leave_command(self.control.directory, command, nonce)


def _turns(
    trouble: Trouble, board: Board, house: _House
) -> tuple[Callable[[], None], Callable[[], None]]:
    """What happens at a trouble's beginning, and what at its end."""

    def begin() -> None:
        what = trouble.what
        board.hit(trouble)
        if isinstance(what, ClockSet):
            house.step(what.ms)
        elif isinstance(what, MachineSleeps):
            house.fall_asleep()
        elif isinstance(what, OperatorSays):
            house.hear(what, trouble.id)

    def end() -> None:
        begin_ms, end_ms = board.span(trouble)
        what = trouble.what
        if isinstance(what, ClockSet):
            house.step(-what.ms)
        elif isinstance(what, MachineSleeps):
            house.wake(end_ms - begin_ms)

    return begin, end
