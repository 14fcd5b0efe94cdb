"""One process life of the runtime on virtual time: the same actors, all adapters in process."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from livespot.actors.audit import AuditWriter
from livespot.actors.letter_box import ControlFiles
from livespot.contracts.errors import ExitCode
from livespot.contracts.ports import Clock, Entropy
from livespot.contracts.redaction import Redactor
from livespot.contracts.system import Alert, OperatorCommand
from livespot.contracts.vocabulary import Mode
from livespot.gate.client import GateClient, GateModel
from livespot.gate.prompts import load_prompt
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import Disk
from livespot.runtime.environment import Secrets
from livespot.runtime.paths import Paths, prompts_directory
from livespot.runtime.plan import Plan, Seams
from livespot.runtime.replay_wire import Wire
from livespot.runtime.run_records import begin
from livespot.runtime.supervisor import Actor
from livespot.runtime.system import System
from livespot.runtime.venue_link import link_venue
from livespot.store.inline import InlineDatabase, InlineReader
from livespot.store.queries import LedgerQueries
from livespot.store.statements import StoreRow
from livespot.store.trail import JsonlTrail
from livespot.venue.signing import load_signer

_log = structlog.get_logger(__name__)
_ROOM = 1 << 40


async def _everything_was_synced(store: InlineDatabase | None) -> None:
    """Lose nothing: a replay usually writes to the machine's disk, which cannot lose its cache."""


class NoOperator:
    """A control directory without commands; only the replay's order ends the run."""

    def read_commands(self, now_ms: int) -> Sequence[OperatorCommand]:
        del now_ms
        return ()

    def remove(self, nonce: str) -> bool:
        del nonce
        return True

    @property
    def may_change(self) -> bool:
        return False

    def stop_file_present(self) -> bool:
        return False


class OpenStore(Protocol):
    """Opens the migrated audit database of one life."""

    def __call__(
        self, path: Path, *, run_id: str, redactor: Redactor, committed: Callable[[set[str]], None]
    ) -> InlineDatabase: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the lives of one replay share. `committed` is called after each durable transaction.

    `gate` answers in place of the exchange's model, if given. `open_store` opens the audit database
    of a life, `furnished` sees each life's system before it runs, and `open_panel` gives a life its
    panel, if it is to have one. `control` is where an operator leaves commands. `power_cut` makes
    the disk lose what a dead life had not synced; it is given that life's store, if there was one.
    """

    paths: Paths
    loaded: LoadedSettings
    secrets: Secrets
    clock: Clock
    wire: Wire
    disk: Disk
    announce: Callable[[Alert], None]
    committed: Callable[[set[str]], None]
    gate: GateModel | None = None
    open_store: OpenStore = field(default_factory=lambda: WitnessedDatabase)
    furnished: Callable[[System], None] = lambda _: None
    open_panel: Callable[[AuditWriter], Actor | None] = lambda _: None
    control: ControlFiles = field(default_factory=NoOperator)
    power_cut: Callable[[InlineDatabase | None], Awaitable[None]] = _everything_was_synced


class WitnessedDatabase(InlineDatabase):
    """A database that reports the kinds of rows of each commit once they are durable."""

    def __init__(
        self, path: Path, *, run_id: str, redactor: Redactor, committed: Callable[[set[str]], None]
    ) -> None:
        super().__init__(path, run_id=run_id, redactor=redactor, survives_power_cut=False)
        self._committed = committed

    async def transaction(self, rows: Sequence[StoreRow]) -> None:
        await super().transaction(rows)
        self._committed({type(row).__name__ for row in rows})


class QuietHost:
    """A machine where nothing is scarce; real figures would differ from run to run."""

    def free_bytes(self) -> int:
        return _ROOM

    def open_files_percent(self) -> int:
        return 0

    def rss_bytes(self) -> int:
        return 0

    def cpu_percent_x100(self) -> int:
        return 0

    def database_bytes(self) -> tuple[int, int]:
        return 0, 0


class Life:
    """One process life: what `launch` does, without lock, signals and threads."""

    def __init__(self, around: Surroundings, entropy: Entropy) -> None:
        self._around = around
        self._entropy = entropy
        self.run_id = ""
        self.system: System | None = None
        self.store: InlineDatabase | None = None
        # Uses the store's connection while there is one.
        self.records = InlineReader(around.paths.database)

    async def bury(self) -> None:
        """Close what a killed life left open; closing the last connection empties the WAL."""
        if self.store is not None:
            await self.store.close()

    async def run(self) -> ExitCode:
        """Boot, trade until stopped, end. `run_id` and `system` are set as soon as they exist."""
        around = self._around
        paths, clock, settings = around.paths, around.clock, around.loaded.settings
        ledger = LedgerQueries(self.records)
        trail = JsonlTrail(around.disk, paths.logs, self.records)
        try:
            with self.records.standing():
                birth = await begin(
                    Mode.REPLAY,
                    settings=settings,
                    clock=clock,
                    entropy=self._entropy,
                    ledger=ledger,
                    trail=trail,
                )
        except OSError as error:
            # As the program does when its disk cannot be used at the start.
            _log.critical("cannot_begin", cause=str(error))
            return ExitCode.PREFLIGHT
        self.run_id = birth.run_id
        redactor = Redactor(secret.reveal() for secret in around.secrets.all())
        self.store = around.open_store(
            paths.database, run_id=birth.run_id, redactor=redactor, committed=around.committed
        )
        self.store.lend(self.records)
        writer = AuditWriter(
            run_id=birth.run_id,
            mode=birth.mode,
            store=self.store,
            trail=trail,
            clock=clock,
            settings=settings.audit,
            redactor=redactor,
            prev_hash=birth.last.last_hash if birth.last is not None else "",
        )
        folder = prompts_directory()
        plan = Plan(
            birth=birth,
            settings=settings,
            config_hash=around.loaded.config_hash,
            prompt=load_prompt(lambda name: around.disk.read(folder / name)),
            account_label="replay",
        )
        self.system = System(plan, self._seams(writer, ledger))
        around.furnished(self.system)
        return await self.system.run()

    def _seams(self, writer: AuditWriter, ledger: LedgerQueries) -> Seams:
        around = self._around
        settings, secrets = around.loaded.settings, around.secrets
        return Seams(
            clock=around.clock,
            entropy=self._entropy,
            venue=link_venue(
                settings,
                clock=around.clock,
                http=around.wire,
                sockets=around.wire,
                signer=load_signer(secrets.binance_api_key, secrets.binance_api_secret),
            ),
            gate_client=around.gate
            or GateClient(
                transport=around.wire,
                base_url=settings.ai_gate.base_url,
                key=secrets.openai_api_key,
                timeout_seconds=settings.ai_gate.timeout_ms / 1000,
            ),
            writer=writer,
            ledger=ledger,
            days=ledger,
            control=around.control,
            host=QuietHost(),
            announce=around.announce,
            panel=around.open_panel(writer),
        )
