"""What the doctor concludes from its measurements: rows, limits, worst losses, feasible edge."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from livespot.contracts.amounts import decimal_text, round_div
from livespot.contracts.base import Message
from livespot.contracts.settings import AdaptiveSettings, Settings
from livespot.contracts.vocabulary import RegimeLabel
from livespot.rules.costs import DEFAULT_ENTRY_MAKER_BPS, DEFAULT_EXIT_TAKER_BPS
from livespot.rules.edge import edge_bps, exits_of
from livespot.rules.pullback_checks import min_edge_bps
from livespot.rules.risk import VOLATILITY_MULTIPLIER
from livespot.rules.risk_limits import worst_loss

_MOST_ATR_BPS = 5_000
_KEY = re.compile(r"[A-Za-z0-9]{64}\Z", re.ASCII)
_SHORTEST_SECRET = 16


class Outcome(StrEnum):
    PASS = "PASS"  # noqa: S105  a verdict, no password
    WARN = "WARN"
    FAIL = "FAIL"


class Check(Message, frozen=True):
    """One row: what was checked, what was found, and the exact command to run next."""

    id: str
    title: str
    outcome: Outcome
    measured: str
    limit: str = ""
    next_command: str = ""
    detail: str = ""


class Summary(Message, frozen=True):
    """Counts of the rows by outcome, and the one command the operator should run now."""

    passed: int
    warned: int
    failed: int
    next_command: str
    because: str

    @property
    def is_green(self) -> bool:
        return self.failed == 0

    @property
    def counts(self) -> str:
        return f"{self.passed} PASS, {self.warned} WARN, {self.failed} FAIL"


def summarize(checks: Sequence[Check], *, when_green: str) -> Summary:
    """The first failure's command, else the first warning's, else `when_green`."""
    worst = [row for row in checks if row.outcome is Outcome.FAIL]
    warned = [row for row in checks if row.outcome is Outcome.WARN]
    chosen = next((row for row in (worst or warned) if row.next_command), None)
    return Summary(
        passed=len(checks) - len(worst) - len(warned),
        warned=len(warned),
        failed=len(worst),
        next_command=chosen.next_command if chosen is not None else "" if worst else when_green,
        because=chosen.title if chosen is not None else "",
    )


def at_most(value: int, limit: int, *, otherwise: Outcome) -> Outcome:
    """PASS up to and including the limit, else `otherwise`."""
    return Outcome.PASS if value <= limit else otherwise


def disk_outcome(free_bytes: int, *, degrade_below: int, pause_below: int) -> Outcome:
    """Judged by the runtime's limits: below the lower one it would pause at once."""
    if free_bytes < pause_below:
        return Outcome.FAIL
    return Outcome.WARN if free_bytes < degrade_below else Outcome.PASS


def sqlite_outcome(version: tuple[int, ...]) -> Outcome:
    """STRICT tables need 3.37; before 3.51.3 two writers and a WAL reset could lose a commit."""
    if version < (3, 37, 0):
        return Outcome.FAIL
    return Outcome.WARN if version < (3, 51, 3) else Outcome.PASS


def secret_problem(text: str, *, exchange_key: bool) -> str:
    """What is wrong with the form of a secret, without revealing any of it."""
    if not text.isascii() or any(char.isspace() or not char.isprintable() for char in text):
        return "holds blanks, line ends or letters no key has; copy it again"
    if text[0] in "\"'" or text[-1] in "\"'":
        return "is wrapped in quotation marks; remove them"
    if len(text) < _SHORTEST_SECRET:
        return "is too short to be a key"
    if exchange_key and _KEY.match(text) is None:
        return "is not 64 letters and digits as the exchange's keys are"
    return ""


def requirement_name(requirement: str) -> str:
    """The distribution a dependency line names."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return found.group() if found is not None else requirement


def unmet(requirement: str, installed: str) -> str:
    """The first bound of a dependency line that an installed version breaks; empty when none."""
    present = _version(installed)
    for sign, bound in re.findall(r"(>=|<)\s*([0-9][0-9.]*)", requirement.partition(";")[0]):
        wanted = _version(bound)
        if (sign == ">=" and present < wanted) or (sign == "<" and present >= wanted):
            return f"{sign}{bound}"
    return ""


def _version(text: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in text.split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            break
        numbers.append(int(digits.group()))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def limit_checks(settings: Settings) -> tuple[Check, ...]:
    """Whether each money limit can ever take effect, and what they allow together."""
    risk, worst = settings.risk, worst_loss(settings)
    binds, reaches = worst.per_trade_binds, worst.per_day >= -risk.max_daily_loss
    per_day = decimal_text(worst.per_day)
    return (
        Check(
            id="worst_loss_per_trade",
            title="Worst loss per trade",
            outcome=Outcome.PASS if binds else Outcome.WARN,
            measured=f"{decimal_text(worst.per_trade)} at a stop of {worst.stop_bps} bps",
            limit=f"risk.per_trade {decimal_text(risk.per_trade)}",
            detail=""
            if binds
            else (
                "risk.per_trade can never bind: risk.max_exposure_symbol "
                f"{decimal_text(risk.max_exposure_symbol)} caps the size until a stop lies "
                f"{worst.binding_stop_bps} bps away"
            ),
        ),
        Check(
            id="worst_loss_per_day",
            title="Worst loss per day",
            outcome=Outcome.PASS if reaches else Outcome.WARN,
            measured=f"{per_day} in {risk.max_trades_per_day} trades",
            limit=f"risk.max_daily_loss {decimal_text(risk.max_daily_loss)}",
            detail=""
            if reaches
            else (
                f"the worst day the limits allow loses {per_day}: risk.max_daily_loss can never "
                "be reached, the number of trades stops the day first"
            ),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One symbol's figures today, and the ATR that the default strategy would need."""

    symbol: str
    atr_bps: int
    cost_bps: int
    trend_needs_bps: int | None
    range_needs_bps: int | None


def shown(
    symbol: str, *, atr_bps: int, fees_bps: int, spread_bps: int, settings: Settings
) -> Shown:
    """`fees_bps` is the maker's and the taker's together; slippages are the usual estimates."""
    cost = fees_bps + spread_bps + DEFAULT_ENTRY_MAKER_BPS + DEFAULT_EXIT_TAKER_BPS
    return Shown(
        symbol=symbol,
        atr_bps=atr_bps,
        cost_bps=cost,
        trend_needs_bps=needed_atr_bps(RegimeLabel.TREND, cost, settings),
        range_needs_bps=needed_atr_bps(RegimeLabel.RANGE, cost, settings),
    )


def has_edge(label: RegimeLabel, atr_bps: int, cost_bps: int, settings: Settings) -> bool:
    """Whether the reward margin reaches the adaptive minimum for this volatility."""
    least = min_edge_bps(label, settings.strategy)
    asked = round_div(least * _volatility_multiplier(atr_bps, settings.adaptive), 10_000)
    return edge_bps(exits_of(label, atr_bps, settings.exit), cost_bps) >= asked


def needed_atr_bps(label: RegimeLabel, cost_bps: int, settings: Settings) -> int | None:
    """The lowest 5m ATR, in bps, with enough margin; None when no realistic one is enough."""
    return next(
        (atr for atr in range(1, _MOST_ATR_BPS) if has_edge(label, atr, cost_bps, settings)), None
    )


def edge_check(symbols: Iterable[Shown], settings: Settings, *, eligible: bool) -> Check:
    """Whether any of today's symbols moves enough for the default strategy.

    Without `eligible`, no symbol passes selection and `symbols` are only the busiest ones.
    """
    rows = tuple(symbols)
    able = any(
        has_edge(label, row.atr_bps, row.cost_bps, settings)
        for row in rows
        for label in (RegimeLabel.TREND, RegimeLabel.RANGE)
    )
    detail = ""
    if not eligible:
        detail = "no symbol passes the limits of [selection] today; shown are the busiest"
    elif not able:
        detail = (
            "none moves enough to pay its costs, so the default strategy will rightly not trade"
        )
    needs = [row.trend_needs_bps for row in rows if row.trend_needs_bps is not None]
    ranges = [row.range_needs_bps for row in rows if row.range_needs_bps is not None]
    return Check(
        id="edge_feasibility",
        title="Reward margin today",
        outcome=Outcome.WARN if detail else Outcome.PASS,
        measured=", ".join(f"{row.symbol} ATR {row.atr_bps} bps" for row in rows) or "no symbol",
        limit=f"ATR >= {_least(needs)} bps in a trend, >= {_least(ranges)} in a range",
        detail=detail,
    )


def _least(values: Sequence[int]) -> str:
    return str(min(values)) if values else "?"


def _volatility_multiplier(atr_bps: int, adaptive: AdaptiveSettings) -> int:
    normal = round_div(adaptive.normal_atr_5m_bps * adaptive.volatility_factor, 10_000)
    wild = min(VOLATILITY_MULTIPLIER, adaptive.max_multiplier)
    return wild if atr_bps > normal else 10_000
