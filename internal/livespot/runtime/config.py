"""Configuration: defaults in code, overridden by one TOML file; all problems reported at once."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.amounts import decimal_text
from livespot.contracts.canonical import hash_of
from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """The effective settings, their hash, and the dotted keys that the file sets."""

    settings: Settings
    config_hash: str
    from_file: frozenset[str]
    path: str


def load_settings(text: str | None, *, path: str) -> LoadedSettings:
    """Parse the TOML text (None: defaults only). Raises `ConfigInvalid` naming every problem."""
    if text is None:
        settings = Settings()
        return LoadedSettings(
            settings=settings, config_hash=hash_of(settings), from_file=frozenset(), path=path
        )
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid([f"{path}: not valid TOML: {error}"]) from error
    reader = _Reader(text, path)
    settings = reader.read(document)
    if reader.problems:
        raise ConfigInvalid(reader.problems)
    return LoadedSettings(
        settings=settings,
        config_hash=hash_of(settings),
        from_file=frozenset(reader.seen),
        path=path,
    )


def rehashed(loaded: LoadedSettings, settings: Settings) -> LoadedSettings:
    """Return the same origin with other effective values and the hash of those."""
    return replace(loaded, settings=settings, config_hash=hash_of(settings))


def effective_rows(loaded: LoadedSettings) -> Iterator[tuple[str, str, str]]:
    """Yield every key as (dotted key, value, `default` or `file`), in the order of the types."""
    for section in msgspec.structs.fields(Settings):
        values = getattr(loaded.settings, section.name)
        for field in msgspec.structs.fields(type(values)):
            dotted = f"{section.name}.{field.name}"
            source = "file" if dotted in loaded.from_file else "default"
            yield dotted, show(getattr(values, field.name)), source


def show(value: object) -> str:
    """Return a setting as it would be written in the file."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return decimal_text(value)
        case tuple():
            return "[" + ", ".join(show(item) for item in value) + "]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


class _Reader:
    """Collects all problems instead of stopping at the first one."""

    def __init__(self, text: str, path: str) -> None:
        self.problems: list[str] = []
        self.seen: list[str] = []
        self._lines = text.splitlines()
        self._path = path

    def read(self, document: dict[str, Any]) -> Settings:
        known = {field.name: field for field in msgspec.structs.fields(Settings)}
        sections: dict[str, Any] = {}
        for name, table in document.items():
            if name not in known:
                self._unknown(name, "", list(known))
            elif not isinstance(table, dict):
                self._problem(name, "", table, "must be a [section]")
            else:
                section = self._section(name, known[name].type, table)
                if section is not None:
                    sections[name] = section
        return Settings(**sections)

    def _section(self, name: str, kind: Any, table: dict[str, Any]) -> object | None:
        known = {field.name: field for field in msgspec.structs.fields(kind)}
        values: dict[str, Any] = {}
        before = len(self.problems)
        for key, raw in table.items():
            if key not in known:
                self._unknown(f"{name}.{key}", name, list(known))
                continue
            try:
                values[key] = _converted(raw, known[key].type)
            except msgspec.ValidationError as error:
                self._problem(f"{name}.{key}", name, raw, str(error))
            self.seen.append(f"{name}.{key}")
        section: object = None
        while section is None:
            try:
                section = kind(**values)
            except ValueError as error:
                self._contradiction(name, str(error))
                offender = str(error).split("=", 1)[0]
                # Checked again without the offending value: the others may contradict each other,
                # too.
                if values.pop(offender, None) is None:
                    break
        return section if len(self.problems) == before else None

    def _unknown(self, dotted: str, section: str, known: list[str]) -> None:
        key = dotted.rsplit(".", 1)[-1]
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        self.problems.append(f"{self._where(section, key)}: {dotted}: unknown key{hint}")

    def _problem(self, dotted: str, section: str, value: object, rule: str) -> None:
        key = dotted.rsplit(".", 1)[-1]
        self.problems.append(f"{self._where(section, key)}: {dotted} = {show(value)}: {rule}")

    def _contradiction(self, section: str, text: str) -> None:
        key = text.split("=", 1)[0]
        self.problems.append(f"{self._where(section, key)}: {section}.{text}")

    def _where(self, section: str, key: str) -> str:
        inside = section == ""
        for number, line in enumerate(self._lines, start=1):
            header = re.match(r"\s*\[\s*([^\]\s]+)\s*\]", line)
            if header is not None:
                if key == header.group(1) and section == "":
                    return f"{self._path}:{number}"
                inside = header.group(1) == section
            elif inside and re.match(rf"\s*{re.escape(key)}\s*=", line):
                return f"{self._path}:{number}"
        return self._path


def _converted(raw: object, kind: Any) -> Any:
    # Lax conversion turns integers into decimals, but would also take "5" for a number.
    lax = isinstance(raw, int | Decimal | list) and not isinstance(raw, bool) and kind is not bool
    return msgspec.convert(raw, kind, builtin_types=(Decimal,), strict=not lax)
