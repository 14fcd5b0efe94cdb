"""Live trading starts only when every lock is open."""

import msgspec
import pytest

from livespot.rules.live_locks import LiveFacts, judge_live

_NOW = 1_618_919_400_000
_OPEN = {
    "flag": True,
    "lock_text": 'account = "main"\ndate = 2021-04-20T08:00:00Z\n',
    "account_label": "main",
    "missing_secrets": (),
    "stop_file": False,
    "database_problem": "",
    "unfinished_run": False,
    "now_ms": _NOW,
    "lock_path": "var/LIVE.ok",
}


def _facts(**changed: object) -> LiveFacts:
    return msgspec.convert({**_OPEN, **changed}, LiveFacts)


def test_with_every_lock_open_it_may_start() -> None:
    assert judge_live(_facts()).may_start


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"flag": False}, "--live", id="no-flag"),
        pytest.param({"lock_text": None}, "missing", id="no-lock-file"),
        pytest.param({"lock_text": "account = "}, "cannot be read", id="unreadable"),
        pytest.param(
            {"lock_text": 'account = "other"\ndate = 2021-04-20\n'}, "another account", id="account"
        ),
        pytest.param({"lock_text": 'account = "main"\n'}, "no date", id="no-date"),
        pytest.param(
            {"lock_text": 'account = "main"\ndate = 2021-04-18T08:00:00Z\n'}, "h old", id="too-old"
        ),
        pytest.param(
            {"lock_text": 'account = "main"\ndate = 2021-05-18T08:00:00Z\n'}, "future", id="future"
        ),
        pytest.param({"account_label": ""}, "account_label", id="no-label"),
        pytest.param({"missing_secrets": ("BINANCE_API_KEY",)}, "BINANCE_API_KEY", id="no-key"),
    ],
)
def test_each_missing_lock_refuses_and_says_how_to_open_it(
    changed: dict[str, object], said: str
) -> None:
    verdict = judge_live(_facts(**changed))

    assert any(said in text for text in verdict.locked)
    assert not verdict.may_start


@pytest.mark.parametrize(
    "changed",
    [
        {"stop_file": True},
        {"database_problem": "run livespot migrate"},
        {"drill_problem": "run livespot drill all"},
    ],
)
def test_an_unready_installation_refuses_without_being_locked(changed: dict[str, object]) -> None:
    verdict = judge_live(_facts(**changed))

    assert verdict.locked == ()
    assert verdict.unready


@pytest.mark.parametrize(
    ("date", "may_start"),
    [
        # It is 11:50:00 UTC.
        pytest.param("2021-04-19T11:50:00Z", True, id="24 h old"),
        pytest.param("2021-04-19T11:49:59Z", False, id="older"),
        pytest.param("2021-04-20T11:55:00Z", True, id="five minutes ahead"),
        pytest.param("2021-04-20T11:55:01Z", False, id="further ahead"),
        pytest.param("2021-04-21", False, id="tomorrow's date"),
    ],
)
def test_a_lock_counts_for_a_day_and_is_not_dated_ahead(date: str, *, may_start: bool) -> None:
    verdict = judge_live(_facts(lock_text=f'account = "main"\ndate = {date}\n'))

    assert verdict.may_start is may_start


@pytest.mark.parametrize("date", ["2021-04-10T08:00:00Z", "2021-04-20T18:00:00Z"])
def test_an_unfinished_live_run_is_taken_up_with_any_date_but_without_entries(date: str) -> None:
    lock = f'account = "main"\ndate = {date}\n'

    verdict = judge_live(_facts(lock_text=lock, unfinished_run=True))

    assert verdict.may_start
    assert verdict.manage_only


def test_an_unfinished_live_run_is_taken_up_without_drills_but_without_entries() -> None:
    verdict = judge_live(_facts(drill_problem="never run", unfinished_run=True))

    assert verdict.may_start
    assert verdict.manage_only == ("never run",)


def test_every_problem_is_said_at_once() -> None:
    verdict = judge_live(
        _facts(flag=False, lock_text=None, missing_secrets=("BINANCE_API_KEY", "OPENAI_API_KEY"))
    )

    assert len(verdict.locked) == 4
