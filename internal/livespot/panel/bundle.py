"""Joins the page's script modules into one, so that a page load is a handful of requests. Pure.

Each module becomes a function that returns its exports; they are called once, in the order of
imports. Only the forms that the page uses are supported; any other is an error at the start.
"""

import re
from collections.abc import Mapping

_IMPORT = re.compile(
    r'^import (?:\* as (?P<whole>\w+)|\{ ?(?P<names>[^{}]*?) ?\}) from "(?P<source>[^"]+)";$', re.M
)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) \*?(?P<name>\w+))", re.M)
_LEFT = re.compile(r"^\s*(?:import|export)\b.*$", re.M)


def bundled(modules: Mapping[str, str], entry: str) -> str:
    """Join modules, given by address, into one script; the entry comes last.

    Raises `ValueError` for an unsupported form, an unknown address or a circle of imports.
    """
    parts = ['"use strict";', "const modules = {};"]
    for address in _order(modules, entry):
        body = _EXPORT.sub("", _IMPORT.sub(_bound, modules[address]))
        left = _LEFT.search(body)
        if left is not None:
            raise ValueError(f"{address} has a form that cannot be joined: {left.group()!r}")
        exported = ", ".join(match["name"] for match in _EXPORT.finditer(modules[address]))
        parts.append(f'modules["{address}"] = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();')
    return "\n".join(parts) + "\n"


def _bound(match: re.Match[str]) -> str:
    source = f'modules["{match["source"]}"]'
    if match["whole"]:
        return f"const {match['whole']} = {source};"
    names = re.sub(r"\s+as\s+", ": ", match["names"])
    return f"const {{ {names} }} = {source};"


def _order(modules: Mapping[str, str], entry: str) -> list[str]:
    """Return the modules with every import before its importer."""
    ordered: list[str] = []
    under_way: set[str] = set()

    def visit(address: str) -> None:
        if address in ordered:
            return
        if address in under_way or address not in modules:
            kind = "imports itself in a circle" if address in under_way else "does not exist"
            raise ValueError(f"{address} {kind}")
        under_way.add(address)
        for match in _IMPORT.finditer(modules[address]):
            visit(match["source"])
        ordered.append(address)

    visit(entry)
    return ordered
