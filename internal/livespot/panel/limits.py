"""The configuration that a run recorded, by section, as far as this version can read it."""

from typing import Any, TypeVar

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.settings import (
    AuditSettings,
    ChurnSettings,
    GateSettings,
    RiskSettings,
    SelectionSettings,
    StrategySettings,
    VenueSettings,
)

_Section = TypeVar("_Section", bound=Message)
# Addresses that may contain tokens; only whether one is set may be shown.
_MASKED = (("alerts", "webhook"),)
_SET, _UNSET = "set, not shown", "not set"


class Limits(Message, frozen=True):
    """The limits that the panel compares with; sections in `defaulted` could not be read."""

    risk: RiskSettings = RiskSettings()
    churn: ChurnSettings = ChurnSettings()
    audit: AuditSettings = AuditSettings()
    gate: GateSettings = GateSettings()
    selection: SelectionSettings = SelectionSettings()
    strategy: StrategySettings = StrategySettings()
    venue: VenueSettings = VenueSettings()
    defaulted: tuple[str, ...] = ()


class _Sections(msgspec.Struct, frozen=True):
    risk: msgspec.Raw = msgspec.Raw(b"null")
    churn: msgspec.Raw = msgspec.Raw(b"null")
    audit: msgspec.Raw = msgspec.Raw(b"null")
    ai_gate: msgspec.Raw = msgspec.Raw(b"null")
    selection: msgspec.Raw = msgspec.Raw(b"null")
    strategy: msgspec.Raw = msgspec.Raw(b"null")
    venue: msgspec.Raw = msgspec.Raw(b"null")


def limits_of(config_json: str) -> Limits:
    """Read the limits. Defaults replace sections of another version that cannot be read."""
    found = msgspec.json.decode(config_json, type=_Sections)
    defaulted: list[str] = []

    def section(name: str, raw: msgspec.Raw, kind: type[_Section]) -> _Section:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError:
            defaulted.append(name)
            return kind()

    return Limits(
        risk=section("risk", found.risk, RiskSettings),
        churn=section("churn", found.churn, ChurnSettings),
        audit=section("audit", found.audit, AuditSettings),
        gate=section("ai_gate", found.ai_gate, GateSettings),
        selection=section("selection", found.selection, SelectionSettings),
        strategy=section("strategy", found.strategy, StrategySettings),
        venue=section("venue", found.venue, VenueSettings),
        defaulted=tuple(defaulted),
    )


def shown_config(config_json: str) -> dict[str, Any]:
    """Return the configuration with addresses masked."""
    config = msgspec.json.decode(config_json, type=dict[str, Any])
    for section, name in _MASKED:
        part = config.get(section)
        if isinstance(part, dict) and name in part:
            config = {**config, section: {**part, name: _SET if part[name] else _UNSET}}
    return config
