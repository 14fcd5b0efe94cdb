"""Reads a fault plan and names every problem in it at once, each with its place."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from livespot.contracts.errors import ConfigInvalid
from livespot.exchange.faults.plan import (
    ACTS,
    EVENTS,
    ONCE,
    TARGETED,
    VERBS,
    AcceptThen,
    Delay,
    DropRequest,
    DropResponse,
    Fault,
    FaultPlan,
    HalfOpen,
    Halt,
    Match,
    ModelReply,
    Reply,
    Reset,
    Rewrite,
    SetFilter,
    StepClock,
    Verb,
    When,
)

_T = TypeVar("_T", bound=msgspec.Struct)
_ACCEPTED = (DropResponse, Reset, Delay, Reply)


class PlanInvalid(ConfigInvalid):
    """A fault plan that cannot be used; `problems` holds all reasons."""


def load_plan(path: Path) -> FaultPlan:
    """The plan of a `.toml` or `.json` file.

    Raises:
        PlanInvalid: it cannot be read, or it has problems.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanInvalid([f"{path}: cannot be read: {error}"]) from error
    readers: Mapping[str, Callable[[str], object]] = {".toml": _toml, ".json": _json}
    reader = readers.get(path.suffix)
    if reader is None:
        raise PlanInvalid([f"{path}: a plan is a .toml or a .json file"])
    try:
        return plan_of(reader(text))
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise PlanInvalid([f"{path}: {error}"]) from error


def _toml(text: str) -> object:
    return tomllib.loads(text, parse_float=Decimal)


def _json(text: str) -> object:
    return msgspec.json.decode(text)


def plan_of(document: object) -> FaultPlan:
    """A plan from its decoded document.

    Raises:
        PlanInvalid: with every problem found.
    """
    problems: list[str] = []
    table = _table(document, "plan", problems)
    rows = table.pop("faults", [])
    if not isinstance(rows, list):
        problems.append("faults: expected an array")
        rows = []
    plan = _struct(table, FaultPlan, "", problems)
    faults = [_fault(row, f"faults[{number}]", problems) for number, row in enumerate(rows)]
    ids = [fault.id for fault in faults if fault is not None]
    problems.extend(f"faults: id {name!r} is used twice" for name in _repeated(ids))
    if problems or plan is None:
        raise PlanInvalid(problems)
    return msgspec.structs.replace(plan, faults=tuple(f for f in faults if f is not None))


def fault_of(document: object) -> Fault:
    """One fault from its decoded document.

    Raises:
        PlanInvalid: with every problem found.
    """
    problems: list[str] = []
    fault = _fault(document, "fault", problems)
    if problems or fault is None:
        raise PlanInvalid(problems)
    return fault


def _fault(row: object, place: str, problems: list[str]) -> Fault | None:
    table = _table(row, place, problems)
    known = len(problems)
    what = _verb(table.pop("what", None), f"{place}.what", problems)
    match = _struct(table.pop("match", {}), Match, f"{place}.match", problems)
    when = _struct(table.pop("when", {}), When, f"{place}.when", problems)
    name = table.pop("id", None)
    if not isinstance(name, str) or not 0 < len(name) <= 80:
        problems.append(f"{place}.id: expected a text of 1 to 80 characters")
    problems.extend(f"{place}.{key}: unknown key" for key in table)
    if what is not None and match is not None and when is not None:
        problems.extend(f"{place}{text}" for text in contradictions(what, match, when))
    if len(problems) > known or what is None or match is None or when is None:
        return None
    return Fault(id=str(name), what=what, match=match, when=when)


def _verb(row: object, place: str, problems: list[str]) -> Verb | None:
    table = _table(row, place, problems)
    name = table.pop("verb", None)
    kind = VERBS.get(name) if isinstance(name, str) else None
    if kind is None:
        problems.append(f"{place}.verb: {name!r} is none of {', '.join(VERBS)}")
        return None
    if kind is not AcceptThen:
        return _struct(table, kind, place, problems)
    inner = _verb(table.pop("then", None), f"{place}.then", problems)
    problems.extend(f"{place}.{key}: unknown key" for key in table)
    if inner is None:
        return None
    if not isinstance(inner, _ACCEPTED):
        problems.append(f"{place}.then.verb: this cannot follow an accepted request")
        return None
    return AcceptThen(then=inner)


def _struct(row: object, kind: type[_T], place: str, problems: list[str]) -> _T | None:
    """Every member on its own, so that one bad value does not hide the next."""
    table, known = _table(row, place, problems), len(problems)
    dot = f"{place}." if place else ""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in table:
            if field.required:
                problems.append(f"{dot}{field.encode_name}: is missing")
            continue
        try:
            found[field.name] = msgspec.convert(table.pop(field.encode_name), field.type)
        except msgspec.ValidationError as error:
            problems.append(f"{dot}{field.encode_name}: {error}")
    problems.extend(f"{dot}{key}: unknown key" for key in table)
    return kind(**found) if len(problems) == known else None


def _table(row: object, place: str, problems: list[str]) -> dict[str, Any]:
    if isinstance(row, dict):
        return dict(row)
    problems.append(f"{place}: expected a table")
    return {}


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def contradictions(what: Verb, match: Match, when: When) -> Iterator[str]:
    """What each part allows but the parts together do not; each text begins with its place."""
    yield from _in_when(what, match, when)
    yield from _in_match(what, match)
    yield from _in_what(what)


def _in_when(what: Verb, match: Match, when: When) -> Iterator[str]:
    if when.at_ms is not None and when.after_ms is not None:
        yield ".when: at_ms and after_ms exclude each other"
    if when.nth is not None and when.probability_x10000 is not None:
        yield ".when: nth and probability_x10000 exclude each other"
    if isinstance(what, ACTS):
        if when.count is not None or when.probability_x10000 is not None:
            yield ".when: count and probability_x10000 need a verb about single requests or frames"
        if isinstance(what, ONCE) and when.for_ms is not None:
            yield ".when.for_ms: what happens once has no duration"
        if match == Match.NOTHING and when.nth is not None:
            yield ".when.nth: needs a match that says what is counted"
    if isinstance(what, HalfOpen) and (when.nth or when.count) and what.target.startswith("ws_"):
        yield ".when: a half-open WebSocket target concerns every new connection"


def _in_match(what: Verb, match: Match) -> Iterator[str]:
    target = _target(what)
    if match.stream and target != "ws_md":
        yield ".match.stream: only market streams have one"
    events = isinstance(what, EVENTS)
    if match.event and not events and target != "ws_user":
        yield ".match.event: only user events have one"
    if (events or target == "ws_user") and (match.method or match.path or match.stream):
        yield ".match: user events have no method, path or stream"
    if isinstance(what, HalfOpen) and target.startswith("ws_") and match != Match.NOTHING:
        yield ".match: a half-open WebSocket target concerns every new connection"
    if target == "ws_md" and isinstance(what, DropRequest) and match.stream:
        yield ".match.stream: a control message has none; use method"


def _in_what(what: Verb) -> Iterator[str]:
    inner = what.then if isinstance(what, AcceptThen) else what
    if isinstance(inner, Delay):
        yield from _in_delay(inner, accepted=isinstance(what, AcceptThen))
    if isinstance(what, AcceptThen) and _target(what) not in ("rest", "ws_api"):
        yield ".what.then.target: only rest and ws_api accept requests"
    if isinstance(what, DropRequest) and what.target == "ws_user":
        yield ".what.target: ws_user sends no requests; use ws_api"
    if isinstance(what, SetFilter) and not (what.patch or what.remove):
        yield ".what: neither patch nor remove says what changes"
    if isinstance(what, SetFilter) and any(
        not isinstance(row.get("filterType"), str) for row in what.patch
    ):
        yield ".what.patch: every row needs its filterType"
    if isinstance(what, Rewrite) and not (what.set or what.headers):
        yield ".what: neither set nor headers says what changes"
    if isinstance(what, ModelReply) and what.raw is not None and what.content is not None:
        yield ".what: raw and content exclude each other"
    if isinstance(what, StepClock) and what.ms == 0:
        yield ".what.ms: a step of nothing"


def _in_delay(what: Delay, *, accepted: bool) -> Iterator[str]:
    if what.leg == "request" and (accepted or what.target == "ws_user"):
        yield ".what.leg: only the reply can be delayed here"
    if what.leg == "reply" and what.target == "ai":
        yield ".what.leg: the model's replies are delayed by ai.delay"


def _target(what: Verb) -> str:
    inner = what.then if isinstance(what, AcceptThen) else what
    if isinstance(inner, TARGETED):
        return inner.target
    return "rest" if isinstance(what, Halt) else ""
