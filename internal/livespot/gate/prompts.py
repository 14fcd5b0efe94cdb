"""Versioned prompt files, the payload built from a decision, and the request built from both."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from livespot.contracts.canonical import canonical_json, hash_of, sha256_hex
from livespot.contracts.decision import Decision
from livespot.contracts.errors import ConfigInvalid, PayloadInvalid
from livespot.contracts.market import Snapshot

PROMPT_VERSION = "gate_v1"
SYSTEM_FILE = f"{PROMPT_VERSION}/system.txt"
USER_FILE = f"{PROMPT_VERSION}/user.txt"
SCHEMA_FILE = f"{PROMPT_VERSION}/answer.schema.json"
_HASH_MARK = "{{INPUT_HASH}}"
_PAYLOAD_MARK = "{{PAYLOAD}}"
_MAX_ANSWER_TOKENS = 1024

_SHAPES = {
    "symbol": re.compile(r"[A-Z0-9]{5,20}\Z", re.ASCII),
    "strategy_id": re.compile(r"[A-Z0-9_]{1,60}\Z", re.ASCII),
    "strategy_version": re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}\Z", re.ASCII),
}

ReadBytes = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One version of the texts and the schema; `hash` covers all of them."""

    system: str
    user: str
    schema: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInput:
    """The question about one decision; `input_hash` is of the payload's exact bytes."""

    payload: bytes
    input_hash: str


def load_prompt(read_bytes: ReadBytes) -> Prompt:
    """Read the prompt files by their paths below the prompt directory.

    Raises `ConfigInvalid` when a file is not UTF-8, the user text does not end with the payload, or
    the schema is not JSON. Exceptions of `read_bytes` pass through.
    """
    files = {name: read_bytes(name) for name in (SYSTEM_FILE, USER_FILE, SCHEMA_FILE)}
    try:
        system = files[SYSTEM_FILE].decode()
        user = files[USER_FILE].decode().rstrip("\n")
        schema = msgspec.json.decode(files[SCHEMA_FILE], type=dict[str, Any])
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise ConfigInvalid([f"prompts/{PROMPT_VERSION}: cannot be read: {error}"]) from error
    if not user.endswith("\n" + _PAYLOAD_MARK) or user.count(_HASH_MARK) != 1:
        raise ConfigInvalid(
            [f"prompts/{USER_FILE}: needs {_HASH_MARK} once and {_PAYLOAD_MARK} as its last line"]
        )
    digests = {name: sha256_hex(content) for name, content in files.items()}
    return Prompt(system=system, user=user, schema=schema, hash=hash_of(digests))


def gate_input(decision: Decision, snapshot: Snapshot, prompt: Prompt) -> GateInput:
    """The canonical payload: enums, integers, decimal strings and validated names only.

    Raises `PayloadInvalid` when a name does not have the form that may enter a prompt.
    """
    for name, value in (
        ("symbol", decision.symbol),
        ("strategy_id", decision.strategy_id),
        ("strategy_version", decision.strategy_version),
    ):
        if _SHAPES[name].match(value) is None:
            raise PayloadInvalid(f"{name}={value!r} may not enter a prompt")
    payload = canonical_json(_payload(decision, snapshot, prompt))
    return GateInput(payload=payload, input_hash=sha256_hex(payload))


def chat_request(asked: GateInput, prompt: Prompt, *, model: str) -> bytes:
    """The body of a chat completion; the user message's last line is exactly the payload."""
    user = prompt.user.replace(_HASH_MARK, asked.input_hash)
    user = user.removesuffix(_PAYLOAD_MARK) + asked.payload.decode()
    return msgspec.json.encode(
        {
            "model": model,
            "temperature": 0,
            "max_tokens": _MAX_ANSWER_TOKENS,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": user},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "gate_answer", "strict": True, "schema": prompt.schema},
            },
        }
    )


def _payload(decision: Decision, snapshot: Snapshot, prompt: Prompt) -> dict[str, Any]:
    return {
        "prompt_version": PROMPT_VERSION,
        "prompt_hash": prompt.hash,
        "config_hash": snapshot.config_hash,
        "snapshot_hash": decision.snapshot_hash,
        "snapshot_id": decision.snapshot_id,
        "decision_id": decision.decision_id,
        "cycle_id": decision.cycle_id,
        "strategy_id": decision.strategy_id,
        "strategy_version": decision.strategy_version,
        "mode": decision.mode,
        "symbol": decision.symbol,
        "side": decision.side,
        "intent": decision.intent,
        "reasons": decision.reasons,
        "edge": {
            "edge_score_x10000": decision.edge_score_x10000,
            "edge_bps_expected": decision.edge_bps_expected,
            "breakeven_hit_x10000": decision.breakeven_hit_x10000,
            "sl_bps": decision.sl_bps,
            "tp_bps": decision.tp_bps,
        },
        "costs": snapshot.cost_inputs,
        "regime": _regime(snapshot),
        "microstructure": snapshot.microstructure,
        "volatility": snapshot.volatility,
        "prices": snapshot.prices,
        "ema20_5m": snapshot.ema20_5m,
        "volume_ratio_5m_x10000": snapshot.volume_ratio_5m_x10000,
        "market_24h": snapshot.market_24h,
        "constraints": {
            "tick_size": decision.constraints.tick_size,
            "step_size": decision.constraints.step_size,
            "min_qty": decision.constraints.min_qty,
            "min_notional": decision.constraints.min_notional,
        },
        "plan": {"entry_plan": _entry(decision), "exit_plan": _exits(decision)},
    }


def _regime(snapshot: Snapshot) -> dict[str, Any]:
    regime = snapshot.regime
    return {
        "label": regime.label,
        "direction": regime.direction,
        "trend_score_x10000": regime.trend_score_x10000,
        "range_score_x10000": regime.range_score_x10000,
    }


def _entry(decision: Decision) -> dict[str, Any]:
    plan = decision.entry_plan
    if plan is None:
        raise PayloadInvalid("a decision without an entry is not asked about")
    return {
        "kind": plan.kind,
        "desired_price": plan.desired_price,
        "limit_price": plan.limit_price,
        "qty": plan.qty,
        "time_in_force": plan.time_in_force,
        "ttl_ms": plan.ttl_ms,
        "reprice_ms": plan.reprice_ms,
        "max_reprices": plan.max_reprices,
        "fallback": plan.fallback,
    }


def _exits(decision: Decision) -> dict[str, Any]:
    plan = decision.exit_plan
    if plan is None:
        raise PayloadInvalid("a decision without exits is not asked about")
    return {
        "tp_price": plan.tp_price,
        "sl_price": plan.sl_price,
        "protection_kind": plan.protection_kind,
        "trailing_mode": plan.trailing_mode,
        "trailing_trigger_price": plan.trailing_trigger_price,
        "trailing_distance_bps": plan.trailing_distance_bps,
    }
