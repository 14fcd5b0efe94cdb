"""What the doctor concludes from what it measured."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.settings import RiskSettings, Settings
from livespot.contracts.vocabulary import RegimeLabel
from livespot.rules.doctor import (
    Check,
    Outcome,
    Shown,
    disk_outcome,
    edge_check,
    has_edge,
    limit_checks,
    needed_atr_bps,
    requirement_name,
    secret_problem,
    shown,
    sqlite_outcome,
    summarize,
    unmet,
)
from livespot.rules.risk_limits import worst_loss

DEFAULTS = Settings()


def row(outcome: Outcome, command: str = "", title: str = "t") -> Check:
    return Check(id="x", title=title, outcome=outcome, measured="m", next_command=command)


def with_risk(**changes: Decimal | int) -> Settings:
    return msgspec.structs.replace(
        DEFAULTS, risk=msgspec.structs.replace(RiskSettings(), **changes)
    )


def a_symbol(atr_bps: int) -> Shown:
    return shown("SOLUSDT", atr_bps=atr_bps, fees_bps=20, spread_bps=2, settings=DEFAULTS)


@pytest.mark.parametrize(("label", "needed"), [(RegimeLabel.TREND, 90), (RegimeLabel.RANGE, 109)])
def test_usual_fees_need_the_documented_volatility(label: RegimeLabel, needed: int) -> None:
    assert needed_atr_bps(label, 25, DEFAULTS) == needed


@given(st.integers(0, 400))
def test_no_smaller_volatility_than_the_needed_one_has_an_edge(cost: int) -> None:
    needed = needed_atr_bps(RegimeLabel.TREND, cost, DEFAULTS)

    assert needed is not None
    assert has_edge(RegimeLabel.TREND, needed, cost, DEFAULTS)
    assert not any(has_edge(RegimeLabel.TREND, atr, cost, DEFAULTS) for atr in range(1, needed))


def test_costs_no_market_can_pay_need_no_volatility_that_exists() -> None:
    assert needed_atr_bps(RegimeLabel.TREND, 100_000, DEFAULTS) is None


def test_one_lively_symbol_is_enough() -> None:
    check = edge_check([a_symbol(20), a_symbol(95)], DEFAULTS, eligible=True)

    assert check.outcome is Outcome.PASS
    assert "ATR >= 90 bps" in check.limit


@pytest.mark.parametrize("symbols", [[], [a_symbol(20), a_symbol(60)]])
def test_a_calm_market_is_a_warning_and_no_failure(symbols: list[Shown]) -> None:
    check = edge_check(symbols, DEFAULTS, eligible=True)

    assert check.outcome is Outcome.WARN
    assert "rightly not trade" in check.detail


def test_lively_symbols_that_may_not_be_traded_are_a_warning() -> None:
    check = edge_check([a_symbol(95)], DEFAULTS, eligible=False)

    assert check.outcome is Outcome.WARN
    assert "[selection]" in check.detail


def test_the_default_limits_are_bounded_by_exposure_and_by_the_number_of_trades() -> None:
    worst = worst_loss(DEFAULTS)
    trade, day = limit_checks(DEFAULTS)

    assert worst.stop_bps == 450
    assert worst.per_trade == Decimal("9.44")  # 200 * (450 + 10 + 10 + 2) bps
    assert worst.per_day == Decimal("188.80")
    assert worst.binding_stop_bps == 5000
    assert "can never bind" in trade.detail
    assert "can never be reached" in day.detail
    assert {trade.outcome, day.outcome} == {Outcome.WARN}


def test_limits_that_act_are_no_warning() -> None:
    settings = with_risk(
        per_trade=Decimal(10), max_exposure_symbol=Decimal(400), max_daily_loss=Decimal(-50)
    )
    worst = worst_loss(settings)

    assert worst.per_trade_binds
    assert worst.per_trade == Decimal("10.49")
    assert worst.per_day == Decimal("73.47") - Decimal("2.49") + Decimal("0")  # 50 + 2 positions
    assert [check.outcome for check in limit_checks(settings)] == [Outcome.PASS, Outcome.PASS]


@given(
    st.decimals("10", "500", places=2),
    st.decimals("5", "500", places=2),
    st.integers(1, 100),
)
def test_a_day_never_loses_more_than_all_its_trades(
    per_trade: Decimal, symbol: Decimal, trades: int
) -> None:
    worst = worst_loss(
        with_risk(per_trade=per_trade, max_exposure_symbol=symbol, max_trades_per_day=trades)
    )

    assert worst.per_trade <= worst.per_day <= worst.per_trade * trades
    assert worst.per_trade <= symbol


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ((3, 36, 0), Outcome.FAIL),
        ((3, 40, 1), Outcome.WARN),
        ((3, 51, 2), Outcome.WARN),
        ((3, 51, 3), Outcome.PASS),
        ((3, 52, 0), Outcome.PASS),
    ],
)
def test_the_sqlite_library_is_judged_by_its_version(
    version: tuple[int, ...], outcome: Outcome
) -> None:
    assert sqlite_outcome(version) is outcome


@pytest.mark.parametrize(
    ("free", "outcome"), [(49, Outcome.FAIL), (50, Outcome.WARN), (100, Outcome.PASS)]
)
def test_disk_room_is_judged_as_the_runtime_will(free: int, outcome: Outcome) -> None:
    assert disk_outcome(free, degrade_below=100, pause_below=50) is outcome


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a" * 64, "", id="good"),
        pytest.param("a" * 63 + "\n", "blanks", id="line-end"),
        pytest.param('"' + "a" * 62 + '"', "quotation", id="quoted"),
        pytest.param("short", "short", id="short"),
        pytest.param("a" * 63, "64", id="not-64"),
    ],
)
def test_a_secret_is_judged_by_its_shape_without_being_told(text: str, said: str) -> None:
    problem = secret_problem(text, exchange_key=True)

    assert bool(problem) is bool(said)
    assert said in problem


@pytest.mark.parametrize(
    ("requirement", "installed", "broken"),
    [
        ("httpx>=0.28,<0.29", "0.28.1", ""),
        ("httpx>=0.28,<0.29", "0.29.0", "<0.29"),
        ("anyio>=4.16", "4.9.0", ">=4.16"),
        ("rich>=15", "15.0.0", ""),
        ("uvloop>=0.23; sys_platform != 'win32'", "0.23", ""),
        ("click>=8.5", "9.0.0rc1", ""),
    ],
)
def test_an_installed_version_is_held_against_its_bounds(
    requirement: str, installed: str, broken: str
) -> None:
    assert unmet(requirement, installed) == broken


def test_the_name_ends_where_the_bounds_begin() -> None:
    assert requirement_name("python-statemachine>=3.2.2") == "python-statemachine"


def test_the_next_command_is_the_first_failures() -> None:
    rows = [row(Outcome.WARN, "warned"), row(Outcome.FAIL), row(Outcome.FAIL, "failed", "why")]

    summary = summarize(rows, when_green="go")

    assert (summary.passed, summary.warned, summary.failed) == (0, 1, 2)
    assert (summary.next_command, summary.because) == ("failed", "why")
    assert not summary.is_green


@pytest.mark.parametrize(
    ("rows", "command"),
    [
        ([row(Outcome.PASS)], "go"),
        ([row(Outcome.WARN, "look"), row(Outcome.PASS)], "look"),
        ([row(Outcome.FAIL), row(Outcome.WARN, "look")], ""),
    ],
)
def test_without_a_failures_command_it_never_says_go_on_red(
    rows: list[Check], command: str
) -> None:
    assert summarize(rows, when_green="go").next_command == command
