"""Plans are read strictly, and every problem is named at once."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.exchange.faults.loader import PlanInvalid, load_plan, plan_of
from livespot.exchange.faults.plan import (
    VERBS,
    AcceptThen,
    AdjustBalance,
    DropResponse,
    FaultPlan,
)

LOST_ACK = """
seed = 7

[[faults]]
id = "lost-ack"
what = { verb = "ex.accept_then", then = { verb = "net.drop_response", target = "rest" } }
match = { method = "POST", path = "/api/v3/order" }
when = { nth = 2 }
"""


def test_a_plan_of_toml_and_of_json_is_the_same(tmp_path: Path) -> None:
    as_toml, as_json = tmp_path / "plan.toml", tmp_path / "plan.json"
    as_toml.write_text(LOST_ACK)
    fault = {
        "id": "lost-ack",
        "what": {
            "verb": "ex.accept_then",
            "then": {"verb": "net.drop_response", "target": "rest"},
        },
        "match": {"method": "POST", "path": "/api/v3/order"},
        "when": {"nth": 2},
    }
    as_json.write_text(json.dumps({"seed": 7, "faults": [fault]}))

    plan = load_plan(as_toml)

    assert plan == load_plan(as_json)
    assert plan.seed == 7
    assert plan.faults[0].what == AcceptThen(then=DropResponse(target="rest"))
    assert plan.faults[0].verb == "ex.accept_then"


def test_an_amount_keeps_its_digits() -> None:
    what = {"verb": "ex.adjust_balance", "asset": "USDT", "delta": "-0.10"}

    plan = plan_of({"faults": [{"id": "out", "what": what}]})

    found = plan.faults[0].what
    assert isinstance(found, AdjustBalance)
    assert str(found.delta) == "-0.10"
    assert isinstance(found.delta, Decimal)


def test_every_problem_is_named_with_its_place() -> None:
    document = {
        "seed": "seven",
        "sead": 7,
        "faults": [
            {"id": "a", "what": {"verb": "net.delay", "target": "res", "ms": 0, "leg": "request"}},
            {"id": "b", "what": {"verb": "net.dleay"}, "when": {"nth": 0, "often": 1}},
            {
                "id": "a",
                "what": {"verb": "ex.ban", "ms": 5},
                "when": {"at_ms": 1, "after_ms": 1, "for_ms": 9},
            },
            {"what": {"verb": "ex.halt"}},
            7,
        ],
    }

    with pytest.raises(PlanInvalid) as caught:
        plan_of(document)

    text = "\n".join(caught.value.problems)
    for said in (
        "seed: ",
        "sead: unknown key",
        "faults[0].what.target: ",
        "faults[0].what.ms: ",
        "faults[1].what.verb: 'net.dleay' is none of net.delay, ",
        "faults[1].when.nth: ",
        "faults[1].when.often: unknown key",
        "faults[2].when: at_ms and after_ms exclude each other",
        "faults[2].when.for_ms: what happens once has no duration",
        "faults[3].id: ",
        "faults[4]: expected a table",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("what", "more", "said"),
    [
        pytest.param(
            {"verb": "net.delay", "target": "ws_user", "ms": 5, "leg": "request"},
            {},
            ".what.leg",
            id="leg",
        ),
        pytest.param(
            {"verb": "ex.drop_events"}, {"match": {"path": "/x"}}, "user events have no", id="event"
        ),
        pytest.param(
            {"verb": "net.drop_response", "target": "rest"},
            {"match": {"stream": "a@trade"}},
            "only market streams",
            id="stream",
        ),
        pytest.param(
            {"verb": "net.drop_response", "target": "rest"},
            {"when": {"nth": 1, "probability_x10000": 1}},
            "nth and probability_x10000",
            id="chance",
        ),
        pytest.param(
            {"verb": "ex.read_lag", "ms": 5}, {"when": {"count": 2}}, "count and", id="state"
        ),
        pytest.param(
            {"verb": "ex.read_lag", "ms": 5}, {"when": {"nth": 2}}, "needs a match", id="unmatched"
        ),
        pytest.param(
            {"verb": "net.half_open", "target": "ws_md"},
            {"when": {"nth": 2}},
            "every new",
            id="new",
        ),
        pytest.param(
            {"verb": "net.drop_request", "target": "ws_user"}, {}, "use ws_api", id="no-request"
        ),
        pytest.param({"verb": "ex.set_filter", "symbol": "A"}, {}, "neither patch", id="patch"),
        pytest.param(
            {"verb": "ex.set_filter", "symbol": "A", "patch": [{"tickSize": "1"}]},
            {},
            "needs its filterType",
            id="filter-type",
        ),
        pytest.param({"verb": "ex.rewrite", "target": "rest"}, {}, "neither set", id="rewrite"),
        pytest.param({"verb": "ai.reply", "raw": "x", "content": "y"}, {}, "raw and", id="model"),
        pytest.param({"verb": "clock.step", "ms": 0}, {}, "a step of nothing", id="step"),
        pytest.param(
            {"verb": "ex.accept_then", "then": {"verb": "ex.ban", "ms": 5}},
            {},
            "cannot follow",
            id="then",
        ),
        pytest.param(
            {"verb": "ex.accept_then", "then": {"verb": "net.reset", "target": "ai"}},
            {},
            "only rest and ws_api",
            id="then-target",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(
    what: dict[str, object], more: dict[str, object], said: str
) -> None:
    with pytest.raises(PlanInvalid, match=said):
        plan_of({"faults": [{"id": "x", "what": what, **more}]})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        pytest.param("plan.yaml", "", "a .toml or a .json", id="suffix"),
        pytest.param("plan.toml", "seed = ", "plan.toml", id="toml"),
        pytest.param("plan.json", "{", "plan.json", id="json"),
        pytest.param("plan.json", "[]", "plan: expected a table", id="no-table"),
        pytest.param("plan.json", '{"faults": {}}', "faults: expected an array", id="no-array"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(PlanInvalid, match=said):
        load_plan(path)


def test_a_missing_file_is_a_problem_and_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(PlanInvalid, match="cannot be read"):
        load_plan(tmp_path / "none.toml")


def test_an_empty_plan_is_a_plan() -> None:
    assert plan_of({}) == FaultPlan()


def test_every_verb_has_a_name_of_its_family() -> None:
    assert all(name.partition(".")[0] in ("net", "ex", "clock", "ai", "hand") for name in VERBS)
    assert len(VERBS) == len(set(VERBS.values())) == 31


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "what", "match", "when", "verb", "then", "faults", "target"]),
            inner | st.sampled_from([*VERBS, "rest", "ws_md"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_sent_is_a_plan_or_named_as_none(document: object) -> None:
    problems: tuple[str, ...] = ()
    plan = None
    try:
        plan = plan_of(document)
    except PlanInvalid as error:
        problems = error.problems

    assert (plan is None) == bool(problems)


def test_a_plan_that_was_written_out_reads_the_same() -> None:
    what = {"verb": "ex.adjust_balance", "asset": "USDT", "delta": "-0.10"}
    rows = [{"id": "out", "what": what, "when": {"after_ms": 5}}]
    plan = plan_of({"seed": 3, "faults": [*rows, {"id": "h", "what": {"verb": "ex.halt"}}]})

    assert plan_of(msgspec.json.decode(msgspec.json.encode(plan))) == plan
