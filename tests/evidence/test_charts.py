"""Charts hold what they are given, escape it, and say so when there is nothing."""

from decimal import Decimal
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.evidence import charts
from livespot.evidence.rows import Count


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=60))
def test_a_histogram_loses_no_measurement(values: list[int]) -> None:
    drawn = ElementTree.fromstring(charts.histogram(values, "ms", ""))  # noqa: S314  our own
    texts = [item.text or "" for item in drawn if item.tag.endswith("text")]

    assert sum(int(text) for text in texts[1::2]) == len(values)


@settings(deadline=None)
@given(st.lists(st.decimals(-1000, 1000, places=2), min_size=2, max_size=40))
def test_every_point_of_a_line_lies_on_the_picture(values: list[Decimal]) -> None:
    svg = charts.steps(list(enumerate(values)), "USDT", "")
    drawn = ElementTree.fromstring(svg)  # noqa: S314  our own
    (line,) = (item for item in drawn if item.tag.endswith("polyline"))

    for point in line.attrib["points"].split():
        x, y = map(int, point.split(","))
        assert 0 <= x <= 720
        assert 0 <= y <= 160


def test_names_from_outside_stay_text() -> None:
    svg = charts.bars([Count(name="<script>&", count=1)], "")

    assert "<script>" not in svg
    assert "&lt;script&gt;&amp;" in svg


@pytest.mark.parametrize(
    "drawn",
    [
        charts.steps([], "USDT", "no trade"),
        charts.bars([], "no trade"),
        charts.histogram([], "ms", "no trade"),
        charts.timeline([], "no trade"),
    ],
)
def test_nothing_to_draw_is_said(drawn: str) -> None:
    assert drawn == '<p class="none">Nothing to draw: no trade</p>'
