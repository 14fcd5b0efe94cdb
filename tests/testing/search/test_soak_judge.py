"""Figures of a soak that grow are found; noise, steps and what settles are not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from livespot.testing.search.soak_judge import (
    growth_in,
    growth_over,
    judge_soak,
    rates,
    slope,
)
from livespot.testing.search.soak_samples import SoakSample

_HOUR_MS = 3_600_000
_PART_MS = 24 * _HOUR_MS
_STEADY = SoakSample(
    at_ms=0,
    life=1,
    age_ms=0,
    cpu_ms=0,
    rss_bytes=90_000_000,
    objects=100_000,
    tasks=59,
    others=14,
    timers=22,
    descriptors=12,
    queues={"governor": 22, "risk": 1},
    database_bytes=0,
    wal_bytes=4_000_000,
    var_bytes=0,
    journal_bytes=0,
)


def _samples(**grows: Any) -> list[SoakSample]:
    """Eight lives of a day and a ninth of nineteen; `grows` are figures by hours of age."""
    found = []
    for life in range(1, 10):
        for hour in range(0, 24 if life < 9 else 24 * 19, 4):
            at_ms = ((life - 1) * 24 + hour) * _HOUR_MS
            grown = {name: of(hour) for name, of in grows.items()}
            found.append(replace(_STEADY, at_ms=at_ms, life=life, age_ms=hour * _HOUR_MS, **grown))
    return found


def _too_much(samples: list[SoakSample]) -> list[str]:
    long = [sample for sample in samples if sample.life == 9 and sample.age_ms >= _PART_MS]
    return [growth.name for growth in growth_in(long) if growth.is_too_much]


def test_what_stands_still_or_settles_on_the_first_day_is_no_growth() -> None:
    steady, settled = (
        _samples(),
        _samples(rss_bytes=lambda hour: 90_000_000 + min(hour, 20) * 10**6),
    )

    assert not any(finding.violated for finding in judge_soak(steady, _PART_MS))
    assert not any(finding.violated for finding in judge_soak(settled, _PART_MS))


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("tasks", lambda hour: 59 + hour // 100),
        ("other tasks", lambda hour: 14 + hour // 48),
        ("timers", lambda hour: 22 + hour // 50),
        ("descriptors", lambda hour: 12 + hour // 72),
        ("bytes of memory", lambda hour: 90_000_000 + hour * 60_000),
        ("objects", lambda hour: 100_000 + hour * 250),
        ("WAL", lambda hour: 4_000_000 + hour * 20_000),
    ],
)
def test_a_slow_leak_in_a_long_life_is_found_by_its_figure(name: str, of: Any) -> None:
    fields = {"other tasks": "others", "bytes of memory": "rss_bytes", "WAL": "wal_bytes"}

    assert _too_much(_samples(**{fields.get(name, name): of})) == [name]


def test_a_queue_whose_most_goes_on_rising_is_found_and_one_burst_is_not() -> None:
    rising = _samples(queues=lambda hour: {"risk": 1 + hour // 20})
    burst = _samples(queues=lambda hour: {"risk": 1 if hour < 200 else 60})

    assert _too_much(rising) == ["queue risk"]
    assert _too_much(burst) == []


def test_what_each_restart_leaves_behind_is_found_and_what_a_killed_life_leaves_is_not() -> None:
    lives = [replace(_STEADY, life=life, at_ms=life * _PART_MS) for life in range(1, 9)]
    left = [
        replace(s, others=14 + s.life, rss_bytes=s.rss_bytes + s.life * 3_000_000) for s in lives
    ]
    killed = replace(_STEADY, life=10, at_ms=10 * _PART_MS, others=200)

    assert [g.name for g in growth_over(left) if g.is_too_much] == [
        "other tasks",
        "bytes of memory",
    ]
    assert not [g for g in growth_over(lives) if g.is_too_much]
    assert not judge_soak([*_samples(), killed], _PART_MS)[1].violated


def test_a_soak_too_short_to_say_anything_does_not_pass() -> None:
    assert all(finding.violated for finding in judge_soak(_samples()[:1], _PART_MS))
    assert all(finding.violated for finding in judge_soak([], _PART_MS))


def test_rates_are_bytes_a_day() -> None:
    last = replace(_STEADY, at_ms=2 * _PART_MS, database_bytes=500, var_bytes=900, journal_bytes=80)

    assert rates([_STEADY, last]) == {
        "database": 250.0,
        "state directory": 450.0,
        "exchange's journal": 40.0,
    }
    assert rates([_STEADY]) == {}


@given(
    st.integers(-50, 50),
    st.integers(-1000, 1000),
    st.lists(st.integers(0, 10_000), min_size=2, max_size=30, unique=True),
)
def test_the_slope_of_a_line_is_its_own_wherever_it_is_looked_at(
    rise: int, start: int, xs: list[int]
) -> None:
    assert slope([(x, start + rise * x) for x in xs]) == pytest.approx(rise)


@given(st.lists(st.integers(-200_000, 200_000), min_size=40, max_size=60))
def test_noise_around_a_level_is_no_growth_of_memory(noise: list[int]) -> None:
    samples = [
        replace(_STEADY, at_ms=n * _HOUR_MS, rss_bytes=90_000_000 + swing)
        for n, swing in enumerate(noise)
    ]

    assert not [g for g in growth_in(samples) if g.is_too_much]


def test_one_point_or_one_instant_has_no_slope() -> None:
    assert slope([]) == slope([(1, 2)]) == slope([(1, 2), (1, 9)]) == 0.0
