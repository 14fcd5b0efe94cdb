"""Measures a run on the side: the database's log, and every collection that a life holds."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import CoroutineType, FunctionType, MethodType
from typing import Any

import msgspec

from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import LIFE, NumberedTask, VirtualLoop
from livespot.runtime.system import System

GAUGES_FILE = "gauges.jsonl"
# How long after the healing all is measured; from then on the log's size at each look.
FIRST_MS = 10_000
_WHOLE_MS = (FIRST_MS, 30_000, 100_000)
_COLLECTIONS = (dict, list, set, deque)
_LOOKED_THROUGH = (*_COLLECTIONS, tuple, MethodType, FunctionType)
# Larger collections are counted but not searched: their elements are all of one kind.
_LOOKED_INTO = 64
_OURS = ("actors", "gate", "rules", "runtime", "store", "venue")
# The replay's own machinery is not part of the program.
_NOT_OURS = "livespot.runtime.replay_"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `over_ms` counts from the run's beginning; `sizes` is empty where none was taken.

    `bounds` holds the most elements that a collection admits, where it enforces that itself.
    """

    over_ms: int
    life: int
    wal_bytes: int
    sizes: dict[str, int] = {}
    bounds: dict[str, int] = {}


@dataclass(slots=True)
class Gauge:
    """Put around a run by `dress` and called over time by `watch`; changes nothing in the run."""

    healed_ms: int
    _loop: VirtualLoop | None = None
    _wal: Path | None = None
    _file: Path | None = None
    _system: System | None = None
    _life: int = 0
    _due: list[int] = field(default_factory=lambda: list(_WHOLE_MS))

    def dress(self, around: Surroundings, loop: VirtualLoop) -> Surroundings:
        database = around.paths.database
        self._loop, self._file = loop, around.paths.var / GAUGES_FILE
        self._wal = database.with_name(f"{database.name}-wal")
        furnished = around.furnished

        def seen(system: System) -> None:
            self._system, self._life = system, LIFE.get()
            furnished(system)

        return replace(around, furnished=seen)

    def watch(self, over_ms: int) -> bool:
        since_ms = over_ms - self.healed_ms
        if since_ms < FIRST_MS or self._file is None or self._wal is None:
            return True
        whole = bool(self._due) and since_ms >= self._due[0]
        if whole:
            self._due.pop(0)
        found, bounds = measured(self._roots()) if whole else ({}, {})
        reading = Reading(
            over_ms=over_ms,
            life=self._life,
            wal_bytes=self._wal.stat().st_size if self._wal.exists() else 0,
            sizes=found,
            bounds=bounds,
        )
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(reading) + b"\n")
        return True

    def _roots(self) -> list[tuple[str, Any]]:
        if self._loop is None or self._system is None:
            return []
        roots: list[tuple[str, Any]] = [("System", self._system)]
        for task in asyncio.all_tasks(self._loop):
            if isinstance(task, NumberedTask) and task.life == self._life:
                roots.extend(_awaiting(task.get_coro()))
        return roots


def read_gauges(path: Path) -> tuple[Reading, ...]:
    """Every line, in order; none where nothing was measured."""
    if not path.exists():
        return ()
    return tuple(msgspec.json.decode(line, type=Reading) for line in path.read_bytes().splitlines())


def measured(roots: list[tuple[str, Any]]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the size of the largest collection of each name, and the bounds by name.

    All collections that can be reached are searched. A name is the class and its member, or the
    function and its variable. A name has a bound only if every collection of that name has one.
    """
    seen: set[int] = set()
    found: dict[str, int] = {}
    bounds: dict[str, int] = {}
    boundless: set[str] = set()
    todo = list(roots)
    while todo:
        name, held = todo.pop()
        # The checker takes the hash of a class for that of its instances, here and below.
        if not _holds(type(held)) or id(held) in seen:  # type: ignore[arg-type]
            continue
        seen.add(id(held))
        if isinstance(held, _COLLECTIONS):
            found[name] = max(len(held), found.get(name, 0))
            bound = held.maxlen if isinstance(held, deque) else None
            if bound is None:
                boundless.add(name)
            else:
                bounds[name] = max(bound, bounds.get(name, 0))
        todo.extend(_parts(name, held))
    return found, {name: bound for name, bound in bounds.items() if name not in boundless}


def _parts(name: str, held: Any) -> Iterator[tuple[str, Any]]:
    match held:
        case dict() if len(held) <= _LOOKED_INTO:
            yield from ((f"{name}[]", part) for part in held.values())
        case list() | set() | deque() | tuple() if len(held) <= _LOOKED_INTO:
            yield from ((f"{name}[]", part) for part in held)
        case MethodType():
            yield name, held.__self__
        case FunctionType():
            cells = held.__closure__ or ()
            yield from ((held.__qualname__, cell.cell_contents) for cell in cells if _full(cell))
        case _:
            yield from _members(held)


def _full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


@cache
def _holds(kind: type) -> bool:
    """Whether anything of this kind can hold a collection, or is one."""
    if issubclass(kind, str | bytes | int):
        return False
    return issubclass(kind, _LOOKED_THROUGH) or _is_ours(kind.__module__)


def _is_ours(module: str) -> bool:
    package = module.split(".")
    ours = package[0] == "livespot" and len(package) > 1 and package[1] in _OURS
    return ours and not module.startswith(_NOT_OURS)


def _members(held: Any) -> Iterator[tuple[str, Any]]:
    owner = type(held).__name__
    for member, value in getattr(held, "__dict__", {}).items():
        yield f"{owner}.{member}", value
    for member in _slots_of(type(held)):  # type: ignore[arg-type]
        value = getattr(held, member, None)
        if value is not None:
            yield f"{owner}.{member}", value


@cache
def _slots_of(kind: type) -> tuple[str, ...]:
    slots = (member for base in kind.__mro__ for member in getattr(base, "__slots__", ()))
    return tuple(dict.fromkeys(slots))


def _awaiting(coroutine: Any) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a task's own functions, from the outermost to what it awaits."""
    while isinstance(coroutine, CoroutineType) and coroutine.cr_frame is not None:
        frame = coroutine.cr_frame
        if frame.f_globals.get("__name__", "").startswith("livespot."):
            for variable, value in frame.f_locals.items():
                yield f"{frame.f_code.co_qualname}.{variable}", value
        coroutine = coroutine.cr_await
