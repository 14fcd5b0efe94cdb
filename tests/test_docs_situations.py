"""The six situations of the runbook, each met for real and dealt with by the page's own commands.

The whole runtime trades on the embedded exchange in virtual time; where it comes to the situation,
the clock stands still and what the page shows is typed.
"""

import re
import shlex
import sqlite3
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from livespot.exchange.faults.plan import (
    DropRequest,
    Fault,
    FaultPlan,
    HalfOpen,
    Match,
    ModelReply,
    Reply,
    Reset,
    When,
)
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.control import ControlDirectory
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import VirtualLoop
from livespot.runtime.replay_run import ReplayOrder, run_virtual
from livespot.runtime.system import System
from livespot.testing.search.gauges import Gauge
from livespot.testing.search.plan import loaded_for
from livespot.testing.search.troubles import DiskSlow, Trouble
from livespot.testing.search.troubling import Troubler
from livespot_cmd import asking
from livespot_cmd.main import livespot

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "runbook.md"
_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)
_SECTION = "## Six situations, step by step"
_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
# A command that a running process has to take and to answer.
_ASKING = ("pause", "resume", "release", "stop")
_PATIENCE_SECONDS = 60
_NEVER_MS = 10**9
_ORDERS = Match(method="POST", path="/api/v3/order*")
_NEWEST = (
    "SELECT mode, active_json FROM sysmodes WHERE id = (SELECT max(id) FROM sysmodes) "
    "AND mode = ? AND active_json LIKE ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the page and what it shows of the answer."""

    command: str
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When the next block of the page is typed: the newest mode, a reason in it, a time passed."""

    mode: str
    because: str = ""
    after_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What goes wrong, and the moments at which each block of its section is typed."""

    moments: tuple[Moment, ...]
    faults: tuple[Fault, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    settings: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Operator:
    """Sits before the run, types each block at its moment, and keeps what was answered."""

    paths: Paths
    blocks: list[list[Step]]
    moments: tuple[Moment, ...]
    thread: ThreadPoolExecutor
    answered: list[tuple[Step, str]] = field(default_factory=list)
    _waiting: tuple[Step, "Future[str]"] | None = None

    def furnish(self, system: System) -> None:
        """Give the run the control files of the real thing."""
        control = ControlDirectory(directory=self.paths.control, stop_file=self.paths.stop_file)
        system.seams = replace(system.seams, control=control)

    def watch(self, over_ms: int) -> bool:
        """Every ten seconds of market time; false once the page is at its end."""
        if self._waiting is not None:
            step, answer = self._waiting
            self._waiting = None
            self.answered.append((step, answer.result(_PATIENCE_SECONDS)))
        while self.blocks and (self.blocks[0] == [] or self._is_time(over_ms)):
            block = self.blocks[0]
            while block:
                step = block.pop(0)
                answer = self.thread.submit(self._type, step.command)
                if shlex.split(step.command)[1] in _ASKING:
                    self._left(answer)
                    self._waiting = (step, answer)
                    return True
                self.answered.append((step, answer.result(_PATIENCE_SECONDS)))
            self.blocks.pop(0)
            self.moments = self.moments[1:]
        return bool(self.blocks)

    def _is_time(self, over_ms: int) -> bool:
        moment = self.moments[0]
        if over_ms < moment.after_ms:
            return False
        with closing(sqlite3.connect(self.paths.database)) as connection:
            like = (moment.mode, f"%{moment.because}%")
            return connection.execute(_NEWEST, like).fetchone() is not None

    def _left(self, answer: "Future[str]") -> None:
        """Until the command's file lies there, or the command ended without one."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while not answer.done() and not list(self.paths.control.glob("*.json")):
            assert time.monotonic() < until
            time.sleep(0.01)

    def _type(self, command: str) -> str:
        program, *words = shlex.split(command)
        assert program == "livespot"
        typed = [*words, "--var", str(self.paths.var)]
        result = CliRunner().invoke(livespot, typed, standalone_mode=False)
        assert result.exception is None, result.exception
        return result.output


def _follow(directory: Path, situation: Situation, blocks: list[list[Step]]) -> Operator:
    """Run until every block was typed. Raises what the run raises."""
    paths = Paths(var=directory / "var")
    paths.var.mkdir()
    with (
        ThreadPoolExecutor(1) as thread,
        RealDisk().lock(paths.lock, "a rehearsal"),
    ):
        operator = Operator(paths=paths, blocks=blocks, moments=situation.moments, thread=thread)

        def dress(around: Surroundings, loop: VirtualLoop) -> Surroundings:
            if situation.troubles:
                around = Troubler(situation.troubles, _NEVER_MS, Gauge(_NEVER_MS)).dress(
                    around, loop
                )
            troubled = around.furnished

            def furnished(system: System) -> None:
                troubled(system)
                operator.furnish(system)

            return replace(around, furnished=furnished)

        run_virtual(
            ReplayOrder(
                paths=paths,
                loaded=loaded_for(situation.settings),
                start_ms=_START_MS,
                span_ms=900_000,
                seed=7,
                exchange=ExchangeSettings(
                    symbols=frozenset({"SOLUSDT"}), plan=FaultPlan(faults=situation.faults)
                ),
                dress=dress,
                watch=operator.watch,
            )
        )
    return operator


SITUATIONS = {
    "Stuck in DEGRADE or PAUSE": Situation(
        faults=(
            Fault(
                id="silent",
                what=HalfOpen(target="ws_md"),
                when=When(after_ms=50_000, for_ms=60_000),
            ),
            Fault(id="cut", what=Reset(target="ws_md"), when=When(after_ms=50_000, for_ms=1)),
            Fault(
                id="down",
                what=Reply(status=503, code=-1000, msg="down"),
                when=When(after_ms=50_000, for_ms=60_000),
            ),
        ),
        moments=(
            Moment(mode="PAUSE", because="WS_STALE_PAUSE"),
            Moment(mode="PAUSE", after_ms=140_000),
            Moment(mode="NORMAL", after_ms=150_000),
        ),
    ),
    "Frequent SENT_UNKNOWN": Situation(
        faults=(
            Fault(
                id="lost",
                what=DropRequest(target="rest", then="close"),
                match=_ORDERS,
                when=When(count=1),
            ),
        ),
        moments=(
            Moment(mode="DEGRADE", because="INTENT_SENT_UNKNOWN"),
            Moment(mode="NORMAL", after_ms=150_000),
        ),
    ),
    "Protection alerts": Situation(
        faults=(
            Fault(
                id="refused",
                what=Reply(status=400, code=-2010, msg="refused"),
                match=Match(method="POST", path="/api/v3/order*", params={"side": "SELL"}),
                when=When(for_ms=170_000),
            ),
        ),
        settings={"exit.attach": "SEPARATE"},
        moments=(
            Moment(mode="PAUSE", because="PAUSE_NEEDS_MANUAL_PROTECTION"),
            Moment(mode="PAUSE", after_ms=200_000),
            Moment(mode="NORMAL"),
        ),
    ),
    "Database or writer trouble": Situation(
        troubles=(Trouble(id="slow", what=DiskSlow(ms=6_000), after_ms=60_000, for_ms=40_000),),
        moments=(
            Moment(mode="DEGRADE", because="DB_WRITER", after_ms=60_000),
            Moment(mode="NORMAL", after_ms=90_000),
        ),
    ),
    "The AI gate fails": Situation(
        faults=(Fault(id="model", what=ModelReply(status=500), when=When(for_ms=135_000)),),
        moments=(
            Moment(mode="PAUSE", because="AIGATE_HTTP_ERROR"),
            Moment(mode="PAUSE", after_ms=140_000),
            Moment(mode="NORMAL"),
        ),
    ),
    "Drift": Situation(
        faults=(
            Fault(
                id="nothing",
                what=Reply(status=200, body="[]"),
                match=Match(method="GET", path="/api/v3/openOrders*"),
                when=When(after_ms=135_000, for_ms=30_000),
            ),
        ),
        moments=(
            Moment(mode="PAUSE", because="DRIFT_LIMIT_EXCEEDED"),
            Moment(mode="PAUSE", after_ms=180_000),
            Moment(mode="NORMAL"),
        ),
    ),
}


def _sections() -> dict[str, list[list[Step]]]:
    """The steps of each console block, by the title of its section."""
    text = PAGE.read_text(encoding="utf-8").partition(_SECTION)[2].partition("\n## ")[0]
    found: dict[str, list[list[Step]]] = {}
    for section in re.split(r"^### \d\. ", text, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        found[title] = [_steps(block) for block in _CONSOLE.findall(section)]
    return found


def _steps(block: str) -> list[Step]:
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    pairs = [part.partition("\n") for part in parts]
    return [Step(command=command, shown=shown) for command, _, shown in pairs]


def _shape(text: str) -> str:
    """Without frames, line ends and figures."""
    text = re.sub(r"[│╭╮╰╯─]", " ", text)
    text = re.sub(r"\b(run|oi|dec|pos)_\w+", r"\1_#", text)
    text = re.sub(r"\d+(?:[.,:]\d+)*", "#", text)
    text = re.sub(r"# (?:ms|s|min|h|d)\b", "# T", text)
    return " ".join(text.split())


def _missing(step: Step, output: str) -> str:
    """The first piece of what is shown that the answer does not hold in its place; empty if all."""
    rest = _shape(output)
    for piece in filter(None, map(_shape, step.shown.split("..."))):
        _, found, rest = rest.partition(piece)
        if not found:
            return piece
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("title", SITUATIONS)
def test_the_pages_own_commands_lead_through(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The market stands still while a command is typed; a busy machine must not make it give up.
    monkeypatch.setattr(asking, "_WAIT_MS", _PATIENCE_SECONDS * 1000)
    blocks = _sections()[title]
    typed = sum(len(block) for block in blocks)

    operator = _follow(tmp_path, SITUATIONS[title], blocks)

    assert operator.blocks == []
    assert len(operator.answered) == typed
    for step, answer in operator.answered:
        assert _missing(step, answer) == "", f"$ {step.command}\n{answer}"


def test_every_situation_of_the_page_is_rehearsed_block_by_block() -> None:
    sections = _sections()

    assert list(sections) == list(SITUATIONS)
    for title, blocks in sections.items():
        assert len(blocks) == len(SITUATIONS[title].moments)
        assert all(step.shown.strip() for block in blocks for step in block)


def test_a_word_that_changed_is_noticed() -> None:
    step = Step(command="livespot next", shown="why  REST_STALE  9 s\n...\nstage X\n")

    assert _missing(step, "│ why REST_STALE 12 min │\n│ more │\n│ stage X │") == ""
    assert _missing(step, "why WS_STALE 12 min\nstage X") == "why REST_STALE # T"
    assert _missing(step, "stage X why REST_STALE 12 min") == "stage X"
