"""Configuration reports everything that is wrong, where it is wrong."""

from decimal import Decimal

import pytest

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.vocabulary import FallbackKind
from livespot.runtime.config import effective_rows, load_settings

_BROKEN = """
[risk]
per_trade = 5000
max_exposure_symbl = 3
cooldown_seconds = "5"
max_daily_loss = 5
[bogus]
x = 1
[strategy]
weights = [0.5, 0.2, 0.1, 0.1]
min_volume_ratio = nan
[panel]
host = "0.0.0.0"
[alerts]
sound = 1
"""


def _problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        load_settings(text, path="livespot.toml")
    return caught.value.problems


def test_without_a_file_every_setting_is_its_default() -> None:
    loaded = load_settings(None, path="livespot.toml")

    assert loaded.settings.risk.per_trade == Decimal("100.00")
    assert {source for _, _, source in effective_rows(loaded)} == {"default"}


def test_every_problem_is_reported_at_once_with_its_line() -> None:
    problems = _problems(_BROKEN)

    found = {problem.split(": ")[0] for problem in problems}
    assert found == {f"livespot.toml:{line}" for line in (3, 4, 5, 6, 7, 10, 11, 13, 15)}


def test_a_mistyped_key_is_answered_with_the_nearest_one() -> None:
    assert any("did you mean 'max_exposure_symbol'?" in problem for problem in _problems(_BROKEN))


def test_text_that_is_not_toml_is_one_problem() -> None:
    (problem,) = _problems("[risk\n")

    assert "not valid TOML" in problem


def test_file_values_are_typed_and_marked_as_coming_from_the_file() -> None:
    loaded = load_settings(
        '[risk]\nper_trade = 50.5\n[entry]\nfallback_kind = "MARKET_IF_ALLOWED"\n', path="x.toml"
    )

    assert loaded.settings.risk.per_trade == Decimal("50.5")
    assert loaded.settings.entry.fallback_kind is FallbackKind.MARKET_IF_ALLOWED
    assert loaded.from_file == {"risk.per_trade", "entry.fallback_kind"}


def test_limits_that_contradict_each_other_are_refused() -> None:
    problems = _problems(
        "[risk]\nmax_exposure_symbol = 600\n[health]\nws_stale_ms_degrade = 20000\n"
    )

    assert len(problems) == 2


@pytest.mark.parametrize(
    ("section", "key", "value", "other"),
    [
        ("audit", "writer_queue_hi_watermark_pct", 95, "writer_queue_full_pct"),
        ("reconcile", "drift_degrade_score_x10000", 50_000, "drift_pause_score_x10000"),
        ("exit", "protection_deadline_ms", 5000, "protection_pause_ms"),
        ("churn", "unfilled_warning_pct", 95, "unfilled_critical_pct"),
        ("health", "loop_stuck_ms_pause", 60_000, "watchdog_kill_ms"),
        ("health", "rest_stale_ms_degrade", 60_000, "rest_stale_ms_pause"),
    ],
)
def test_what_warns_must_come_before_what_stops(
    section: str, key: str, value: int, other: str
) -> None:
    (problem,) = _problems(f"[{section}]\n{key} = {value}\n")

    assert ":2: " in problem
    assert f"{section}.{key}" in problem
    assert f"must be below {other}" in problem
    right = load_settings(f"[{section}]\n{key} = {value - 1}\n", path="x.toml")
    assert f"{section}.{key}" in right.from_file


def test_the_same_values_give_the_same_hash_wherever_they_come_from() -> None:
    by_file = load_settings("[risk]\ncooldown_seconds = 300\n", path="x.toml")

    assert by_file.config_hash == load_settings(None, path="y.toml").config_hash


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "http://example.org",
        "https://",
        "https://exa mple.org",
        "https://example.org/v1#part",
        "wss://example.org",
    ],
)
@pytest.mark.parametrize("key", ["[venue]\nrest_url", "[ai_gate]\nbase_url"])
def test_an_address_that_is_neither_secure_nor_local_is_refused(key: str, url: str) -> None:
    assert "must be TLS, or plain on 127.0.0.1" in _problems(f'{key} = "{url}"')[0]


@pytest.mark.parametrize("url", ["https://me:canary@example.org", "https://example.org/?k=canary"])
def test_an_address_with_a_secret_in_it_is_refused_without_being_quoted(url: str) -> None:
    problems = _problems(f'[ai_gate]\nbase_url = "{url}"')

    assert "canary" not in problems[0]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:11434/v1", "https://[2001:db8::1]:8443", "https://example.org/a/v1/"]
)
def test_a_secure_or_local_address_is_taken(url: str) -> None:
    loaded = load_settings(f'[ai_gate]\nbase_url = "{url}"', path="c.toml")

    assert loaded.settings.ai_gate.base_url == url
