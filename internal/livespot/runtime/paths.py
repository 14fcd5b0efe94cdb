"""Where a run keeps its state, and where the program's own files are."""

from dataclasses import dataclass
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The layout of one state directory."""

    var: Path

    @property
    def database(self) -> Path:
        return self.var / "data" / "audit.sqlite"

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def control(self) -> Path:
        return self.var / "control"

    @property
    def backups(self) -> Path:
        return self.var / "backups"

    @property
    def runs(self) -> Path:
        """The evidence of each run, one folder per run."""
        return self.var / "runs"

    @property
    def receipts(self) -> Path:
        """The answers of the verify gates."""
        return self.var / "receipts"

    @property
    def drills(self) -> Path:
        """The results of crash drills, one file per run of them."""
        return self.var / "drills"

    @property
    def moved(self) -> Path:
        """Present when this state now lives elsewhere and must not be started here again."""
        return self.var / "MOVED"

    @property
    def restored(self) -> Path:
        """Present from a restore until a start has told of it."""
        return self.var / "RESTORED"

    @property
    def lock(self) -> Path:
        return self.var / "livespot.lock"

    @property
    def stop_file(self) -> Path:
        return self.var / "STOP"

    @property
    def live_ok(self) -> Path:
        return self.var / "LIVE.ok"

    @property
    def config(self) -> Path:
        return self.var / "livespot.toml"

    @property
    def dotenv(self) -> Path:
        """The secrets' file beside the state directory; by default the project's `.env`."""
        return self.var.parent / ".env"

    @property
    def crash_note(self) -> Path:
        return self.logs / "crash-notes.log"

    @property
    def rehearsals(self) -> Path:
        """The results of rehearsed stop swaps."""
        return self.var / "swap-rehearsals.json"

    @property
    def exchange_state(self) -> Path:
        """Written by an embedded exchange and read by the runtime that trades on it."""
        return self.var / "exchange.json"

    @property
    def exchange_plan(self) -> Path:
        """The fault plan that an embedded exchange was started with."""
        return self.var / "exchange-plan.json"

    @property
    def exchange_journal(self) -> Path:
        return self.var / "exchange-journal.jsonl"

    @property
    def readiness(self) -> Path:
        """The report of the last soak."""
        return self.var / "readiness.json"


def project_root() -> Path:
    """The checkout that this program runs from; for an installed program the working directory."""
    return _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()


def default_var() -> Path:
    """`var/` of the project."""
    return project_root() / "var"


def sim_var() -> Path:
    """Where `livespot sim` keeps its own state."""
    return default_var() / "sim"


def soak_var() -> Path:
    """Where `livespot soak` keeps its own state."""
    return default_var() / "soak"


def prompts_directory() -> Path:
    """Where the prompt files are: beside the checkout, or packed into the wheel."""
    beside = _CHECKOUT / "prompts"
    if beside.is_dir():
        return beside
    return Path(__file__).resolve().parents[2] / "livespot_prompts"


def present_var() -> tuple[Path, str]:
    """Return the state directory meant without `--var`, and a note when it is the simulation's."""
    if not Paths(var=default_var()).database.exists() and Paths(var=sim_var()).database.exists():
        return sim_var(), "(of the simulation in var/sim; name another with --var)"
    return default_var(), ""
