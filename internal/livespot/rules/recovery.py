"""Decides how a run may continue after what the last one left behind."""

from dataclasses import dataclass
from enum import StrEnum

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.contracts.queries import LastRun
from livespot.contracts.vocabulary import SignalLevel, SysMode


class RecoveryChoice(StrEnum):
    """CLEAN may trade; the others keep entries off until repaired or released."""

    CLEAN = "CLEAN"
    RESUME_MANAGE_ONLY = "RESUME_MANAGE_ONLY"
    CLOSE_SAFELY_THEN_PAUSE = "CLOSE_SAFELY_THEN_PAUSE"
    AMBIGUOUS_PAUSE = "AMBIGUOUS_PAUSE"
    STAY_PAUSED = "STAY_PAUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFacts:
    """The findings once intents, positions and the exchange have been compared.

    `bare` counts open positions without protection, `unverified` subjects that could not be read,
    `unsettled` intents without an outcome; `drift_level` is that of the first full comparison.
    """

    last_run: LastRun | None
    open_positions: int
    open_orders: int
    bare: int
    unverified: int
    unsettled: int
    drift_level: SignalLevel
    reads_failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryOutcome:
    """The choice, its demand on the governor, and whether the last run ended uncleanly."""

    choice: RecoveryChoice
    level: SignalLevel
    reason: ReasonCode
    unclean: bool


def unclean_end(last_run: LastRun | None) -> bool:
    """Whether the previous process ended without recording it."""
    return last_run is not None and not last_run.ended


def ended_paused(last_run: LastRun | None) -> bool:
    """Whether the previous run was in PAUSE when it ended, cleanly or not."""
    if last_run is None:
        return False
    return last_run.sysmode is SysMode.PAUSE or (
        last_run.ended and last_run.exit_code == ExitCode.PAUSED
    )


def decide(facts: BootFacts) -> RecoveryOutcome:
    """The most careful choice that the facts call for.

    A bare position is repaired by its own ladder, which sells it if the repair fails. So the run
    continues to manage it, unless what is known about it is contradictory.
    """
    unclean = unclean_end(facts.last_run)
    if ended_paused(facts.last_run):
        return _outcome(RecoveryChoice.STAY_PAUSED, SignalLevel.PAUSE, unclean=unclean)
    if facts.reads_failed or facts.unverified > 0 or facts.unsettled > 0:
        return _unreadable(facts, unclean=unclean)
    if facts.drift_level is SignalLevel.PAUSE:
        closable = facts.bare > 0
        choice = (
            RecoveryChoice.CLOSE_SAFELY_THEN_PAUSE if closable else RecoveryChoice.AMBIGUOUS_PAUSE
        )
        return _outcome(choice, SignalLevel.PAUSE, unclean=unclean)
    if facts.bare > 0 or facts.drift_level is SignalLevel.DEGRADE:
        return _outcome(RecoveryChoice.RESUME_MANAGE_ONLY, SignalLevel.DEGRADE, unclean=unclean)
    if facts.open_positions or facts.open_orders:
        # Everything found is explained and protected: manage it, entries may follow.
        return _outcome(RecoveryChoice.RESUME_MANAGE_ONLY, SignalLevel.CLEAR, unclean=unclean)
    return _outcome(RecoveryChoice.CLEAN, SignalLevel.CLEAR, unclean=unclean)


def _unreadable(facts: BootFacts, *, unclean: bool) -> RecoveryOutcome:
    """Unread facts may clear up: wait if nothing is at risk, else pause as ambiguous."""
    at_risk = facts.bare > 0 and facts.unverified > 0
    if at_risk or facts.drift_level is SignalLevel.PAUSE:
        return _outcome(RecoveryChoice.AMBIGUOUS_PAUSE, SignalLevel.PAUSE, unclean=unclean)
    return _outcome(RecoveryChoice.RESUME_MANAGE_ONLY, SignalLevel.DEGRADE, unclean=unclean)


def _outcome(choice: RecoveryChoice, level: SignalLevel, *, unclean: bool) -> RecoveryOutcome:
    reason = (
        ReasonCode.PAUSE_NEEDS_MANUAL if level is SignalLevel.PAUSE else ReasonCode.BOOT_RECOVERY
    )
    return RecoveryOutcome(choice=choice, level=level, reason=reason, unclean=unclean)
