"""Maintains the records during a run, in small steps that hold nobody up.

It makes a backup a day, packs days of the trail and prunes what is past its age. A separate process
does the heavy part. Low disk space suspends all of it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import LivespotError
from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.rules.retention import backup_name, day_of
from livespot.runtime.children import ended
from livespot.runtime.clock import SystemClock
from livespot.runtime.disk import Disk, RealDisk
from livespot.runtime.environment import environment_of_a_child
from livespot.runtime.paths import Paths
from livespot.runtime.upkeep_records import backup_entry, step_entry
from livespot.store.day_files import packed_name, plain_name
from livespot.store.upkeep import UpkeepOrder, UpkeepPlan
from livespot.store.upkeep_process import (
    Answer,
    BackupCheck,
    BackupMade,
    BackupOrder,
    BackupsFound,
    Order,
    Trouble,
)
from livespot.store.upkeep_statements import UpkeepRow

_log = structlog.get_logger(__name__)

# The boot, and short trial runs, come first.
_FIRST_SECONDS = 300.0
_EVERY_SECONDS = 600.0
_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 900.0
# Pause between two steps, in which the writer is free for everybody else.
_STEP_SECONDS = 0.25
_STEPS = 40


@dataclass(slots=True)
class Seen:
    """What the upkeep of this run has done and reported so far.

    `backups_told`: the audit names every backup. `pruned_day`: the day on which nothing was left to
    prune. `told`: (day, trouble) already reported.
    """

    backups_told: bool = False
    pruned_day: str = ""
    told: set[tuple[str, str]] = field(default_factory=set)


async def asked_of_a_process(order: Order) -> Answer:
    """Run one order in a process of its own, which is killed when it takes too long."""
    wall = SystemClock()
    command = [
        # -P: a file in the working directory must not stand in for a module of ours.
        *(sys.executable, "-P", "-m", "livespot.store.upkeep_process"),
        msgspec.json.encode(order).decode(),
    ]
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(  # noqa: ASYNC220, S603  starting is short; arguments are ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env=environment_of_a_child(),
        )
        try:
            with wall.move_on_after(_LONGEST_SECONDS):
                while child.poll() is None:
                    await wall.sleep(_LOOK_SECONDS)
            in_time = child.poll() is not None
        finally:
            code = await ended(child, wall)
        output.seek(0)
        return answer_of(output.read(), code, in_time=in_time)


def answer_of(said: bytes, code: int | None, *, in_time: bool) -> Answer:
    """Return what an ended process answered; anything unexpected becomes `Trouble`."""
    if not in_time:
        return Trouble(text=f"its process took more than {_LONGEST_SECONDS:.0f} s and was ended")
    if code != 0:
        return Trouble(text=f"its process ended with {code}")
    try:
        found: Answer = msgspec.json.decode(said, type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Trouble(text=f"its process gave no answer that can be read: {error}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Counts ages in the run's own time (`market`) and daily backups by the machine's (`wall`)."""

    paths: Paths
    settings: Settings
    market: Clock
    audit: AuditPort
    free_bytes: Callable[[], int]
    tell: Callable[[Alert], object]
    wall: Clock = field(default_factory=SystemClock)
    disk: Disk = field(default_factory=RealDisk)
    ask: Callable[[Order], Awaitable[Answer]] = asked_of_a_process

    async def run(self) -> None:
        """Do a round every few minutes until cancelled; each step is done whole or not at all."""
        seen = Seen()
        await self.wall.sleep(_FIRST_SECONDS)
        while True:
            await self.look(seen)
            await self.wall.sleep(_EVERY_SECONDS)

    async def look(self, seen: Seen | None = None) -> None:
        """Do one round. A failure is reported once a day and tried again in the next round."""
        seen = seen if seen is not None else Seen()
        try:
            if self._has_room():
                await self._record_missing_backups(seen)
                await self._back_up(seen)
                await self._prune(seen)
        except (LivespotError, OSError) as error:
            self._report(seen, f"the upkeep of the records stopped: {error}")

    def _has_room(self) -> bool:
        free_bytes = self.free_bytes()
        if free_bytes >= self.settings.health.disk_free_degrade_bytes:
            return True
        # The health actor reports low space. A copy or a pruning would need more of it at first.
        _log.warning("upkeep_suspended", free_bytes=free_bytes)
        return False

    async def _record_missing_backups(self, seen: Seen) -> None:
        """Record the hashes of backups whose run ended between naming them and recording them."""
        if seen.backups_told:
            return
        answer = await self.ask(
            BackupCheck(database=str(self.paths.database), directory=str(self.paths.backups))
        )
        if isinstance(answer, Trouble):
            self._report(seen, f"the backups could not be looked at: {answer.text}")
        elif isinstance(answer, BackupsFound):
            for made in answer.whole:
                entry = backup_entry(made, at_ms=self.market.now_ms(), late=True)
                await self.audit.commit(entry)
                self._report(
                    seen, f"the backup {made.name} had no event of its hash and has one now"
                )
            for text in answer.damaged:
                self._report(seen, f"a backup that no event names is damaged, {text}")
            seen.backups_told = True

    async def _back_up(self, seen: Seen) -> None:
        audit = self.settings.audit
        name = backup_name(self.wall.now_ms())
        if self.disk.exists(self.paths.backups / name):
            return
        size = self.disk.size(self.paths.database)
        if self.free_bytes() - size < self.settings.health.disk_free_degrade_bytes:
            self._report(seen, f"the daily backup waits for room: the database has {size} bytes")
            return
        answer = await self.ask(
            BackupOrder(
                database=str(self.paths.database),
                directory=str(self.paths.backups),
                name=name,
                keep=audit.backup_keep,
            )
        )
        if isinstance(answer, BackupMade):
            await self.audit.commit(backup_entry(answer, at_ms=self.market.now_ms()))
        elif isinstance(answer, Trouble):
            # The process may have been killed after it had named the copy.
            seen.backups_told = False
            self._report(seen, f"the daily backup failed: {answer.text}")

    async def _prune(self, seen: Seen) -> None:
        today = day_of(self.market.now_ms())
        while seen.pruned_day != today and self._has_room():
            answer = await self.ask(
                UpkeepOrder(
                    database=str(self.paths.database),
                    logs=str(self.paths.logs),
                    now_ms=self.market.now_ms(),
                    jsonl_keep_days=self.settings.audit.jsonl_keep_days,
                    most=_STEPS,
                )
            )
            if isinstance(answer, Trouble):
                self._report(seen, f"old records could not be pruned: {answer.text}")
                return
            if isinstance(answer, UpkeepPlan):
                for text in answer.troubles:
                    self._report(seen, text)
                await self._carry_out(answer)
                if answer.empty:
                    seen.pruned_day = today

    async def _carry_out(self, plan: UpkeepPlan) -> None:
        """Carry out a plan; each step is durable before the file it concerns is removed."""
        for name in plan.spare_files:
            self.disk.remove(self.paths.logs / name)
        for packed in plan.packed:
            await self.audit.commit(step_entry(packed, at_ms=self.market.now_ms()))
            self.disk.remove(self.paths.logs / plain_name(packed.day))
        for removed in plan.removed:
            await self.audit.commit(step_entry(removed, at_ms=self.market.now_ms()))
            self.disk.remove(self.paths.logs / packed_name(removed.day))
        steps: list[UpkeepRow] = [*plan.anchors, *plan.rows]
        for step in steps:
            await self.audit.commit(step_entry(step, at_ms=self.market.now_ms()))
            await self.wall.sleep(_STEP_SECONDS)

    def _report(self, seen: Seen, text: str) -> None:
        # The text after the colon may differ from round to round without being news.
        key = (day_of(self.wall.now_ms()), text.partition(":")[0])
        if key in seen.told:
            return
        seen.told.add(key)
        _log.warning("upkeep_trouble", cause=text)
        self.tell(
            Alert(
                severity=Severity.WARN,
                code=ReasonCode.ALERT_RAISED,
                reasons=(),
                text=text,
                at_ms=self.market.now_ms(),
            )
        )
