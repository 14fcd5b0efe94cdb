"""The control port: look at the faults of a running exchange, add some, end them.

It is for tests on this machine: it listens on the loopback interface only, answers only to
loopback names (a web page cannot reach it under another name) and never to a browser's request.
"""

from collections.abc import Callable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from livespot.exchange.faults.board import Course
from livespot.exchange.faults.injector import Injector
from livespot.exchange.faults.loader import PlanInvalid, fault_of, plan_of
from livespot.exchange.faults.plan import Fault

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_MOST_BYTES = 1 << 20


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a control request was refused. `problems` names each fault of a plan that was sent."""

    error: str
    problems: tuple[str, ...] = ()


class FaultState(msgspec.Struct, frozen=True, kw_only=True):
    """How one fault stands. `seen` counts matching subjects, `fired` those that were hit."""

    id: str
    verb: str
    phase: str
    begin_ms: int
    end_ms: int | None
    seen: int
    fired: int
    fault: Fault


class Control:
    """Handlers of the control port."""

    def __init__(self, faults: Injector, now_ms: Callable[[], int]) -> None:
        self._faults = faults
        self._now_ms = now_ms

    def application(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/faults", self._show, methods=["GET"]),
                Route("/faults", self._load, methods=["POST"]),
                Route("/faults", self._heal, methods=["DELETE"]),
                Route("/faults/{name}", self._heal, methods=["DELETE"]),
                Route("/do", self._do, methods=["POST"]),
            ]
        )

    async def _show(self, request: Request) -> Response:
        return _refusal(request) or self._state()

    async def _load(self, request: Request) -> Response:
        """Replace the plan."""
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            self._faults.load(plan_of(await _document(request)))
        except PlanInvalid as error:
            return _invalid(error)
        self._faults.advance()
        return self._state()

    async def _do(self, request: Request) -> Response:
        """Add one fault beside those of the plan; without `when` it begins at once."""
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            fault = fault_of(await _document(request))
        except PlanInvalid as error:
            return _invalid(error)
        self._faults.add(fault)
        self._faults.advance()
        return self._state()

    async def _heal(self, request: Request) -> Response:
        """End one fault, or all."""
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        name = request.path_params.get("name")
        if name is not None and name not in {one.fault.id for one in self._faults.courses}:
            return _answer(404, Problem(error=f"there is no fault {name!r}"))
        self._faults.heal(name)
        return self._state()

    def _state(self) -> Response:
        states = [_state_of(course) for course in self._faults.courses]
        return _answer(200, {"now_ms": self._now_ms(), "faults": states})


def _state_of(course: Course) -> FaultState:
    return FaultState(
        id=course.fault.id,
        verb=course.fault.verb,
        phase=course.phase,
        begin_ms=course.begin_ms,
        end_ms=course.end_ms,
        seen=course.seen,
        fired=course.fired,
        fault=course.fault,
    )


def _refusal(request: Request) -> Response | None:
    """421 for a Host that is not this machine, 403 for what a browser sends on its own."""
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or hosts[0].rpartition(":")[0] not in _LOOPBACK:
        return _answer(421, Problem(error="this port answers to 127.0.0.1 and localhost only"))
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        return _answer(403, Problem(error="this port does not serve web pages"))
    return None


async def _document(request: Request) -> object:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise PlanInvalid(["send application/json"])
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise PlanInvalid([f"more than {_MOST_BYTES} bytes"])
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise PlanInvalid([f"no JSON: {error}"]) from error


def _invalid(error: PlanInvalid) -> Response:
    return _answer(400, Problem(error="not a usable plan", problems=error.problems))


def _answer(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
