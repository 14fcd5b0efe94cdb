"""Generates the parts of the documents that the code states, so that the two cannot drift apart."""

import importlib
import re
from collections.abc import Iterable

from livespot.contracts.catalogue import CATALOGUE, number_of
from livespot.contracts.codes import ReasonCode
from livespot.rules.sysmode import ModeChart
from livespot.runtime.wiring import lay_wires
from livespot.testing import strategy_study
from livespot.testing.clock import ManualClock

# Every actor of a run with the module that tells what it reads, writes and owns.
ACTORS = {
    "market feed": "market_feed",
    "market state": "market_state",
    "scanner": "scanner",
    "signal": "signaller",
    "AI gate": "ai_gate",
    "risk": "risk",
    "execution": "execution",
    "position": "position",
    "reconciler": "reconciler",
    "account feed": "account_feed",
    "clock keeper": "clock_keeper",
    "limits keeper": "limits_keeper",
    "day keeper": "day_keeper",
    "health": "health",
    "governor": "governor",
    "recovery": "recovery",
    "audit writer": "audit",
}
_BLOCKS = {
    1: "1000: the system, its modes and the operator",
    2: "2000: the model gate",
    3: "3000: the exchange, orders and intents",
    4: "4000: market data and selection",
    5: "5000: risk",
    6: "6000: strategy and entry",
}
_CODE_HEAD = ("no.", "code", "what it means", "what you do", "what livespot does", "over when")
_PART = re.compile(r"\*?\b(Reads|Writes|Owns)\b\*?:? ")
_MARKED = re.compile(r"(<!-- begin (?P<name>[a-z-]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def generated() -> dict[str, str]:
    """Return every generated part by the name of its marker."""
    return {
        "mode-chart": f"```mermaid\n{ModeChart:mermaid}\n```\n".replace("\n\n```", "\n```"),
        "mode-moves": f"{ModeChart:md}".rstrip() + "\n",
        "mailboxes": _mailboxes(),
        "actors": "\n".join(_actor(name, module) for name, module in ACTORS.items()),
        "reason-codes": _reason_codes(),
        "strategy-week": strategy_study.table(),
    }


def refreshed(text: str) -> str:
    """Return the document with every marked part regenerated.

    Raises `KeyError` for an unknown marker.
    """
    parts = generated()
    return _MARKED.sub(lambda found: f"{found[1]}\n{parts[found['name']]}\n{found[3]}", text)


def markers(text: str) -> list[str]:
    """Return the names of the marked parts, in order."""
    return [found["name"] for found in _MARKED.finditer(text)]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _mailboxes() -> str:
    boxes = [box.stats() for box in lay_wires(ManualClock()).measured()]
    rows = ((box.name, box.policy, str(box.capacity)) for box in boxes)
    return _table(("mailbox", "policy", "capacity"), rows)


def _reason_codes() -> str:
    """One table per block of a thousand, in the order of the numbers."""
    text = []
    for thousand, title in _BLOCKS.items():
        codes = sorted((c for c in ReasonCode if number_of(c) // 1000 == thousand), key=number_of)
        text.append(f"### {title}\n\n" + _table(_CODE_HEAD, (_code_row(code) for code in codes)))
    return "\n".join(text)


def _code_row(code: ReasonCode) -> tuple[str, ...]:
    entry = CATALOGUE[code]
    itself = f"*Reserved.* {entry.reserved}" if entry.reserved else entry.by_itself
    return str(number_of(code)), f"`{code}`", entry.meaning, entry.action, itself, entry.over


def _actor(name: str, module: str) -> str:
    """A section from the module's docstring: its job, then what it reads, writes and owns."""
    said = importlib.import_module(f"livespot.actors.{module}").__doc__ or ""
    job, _, rest = said.partition("\n\n")
    pieces = _PART.split(" ".join(rest.split()))
    lines = [
        f"- **{part}** {what.strip()}"
        for part, what in zip(pieces[1::2], pieces[2::2], strict=True)
    ]
    place = f"`internal/livespot/actors/{module}.py`"
    return "\n".join([f"#### {name}", "", f"{job.strip()} ({place})", "", *lines, ""])
