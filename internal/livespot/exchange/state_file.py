"""The small file by which other processes find a running exchange and share its clock."""

import os
from pathlib import Path

import msgspec

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.settings import SharedClock


class ExchangeAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where an exchange listens; `control_url` is empty when there is no control port."""

    host: str
    port: int
    rest_url: str
    stream_url: str
    ws_api_url: str
    model_url: str
    control_url: str = ""


class ExchangeState(msgspec.Struct, frozen=True, kw_only=True):
    """What the state file holds. `clock` is absent when market time is wall time."""

    pid: int
    address: ExchangeAddress
    seed: int
    data_id: str
    data_sha256: str
    journal: str
    clock: SharedClock | None


def address_of(host: str, port: int) -> ExchangeAddress:
    """All URLs of an exchange on one port."""
    return ExchangeAddress(
        host=host,
        port=port,
        rest_url=f"http://{host}:{port}",
        stream_url=f"ws://{host}:{port}",
        ws_api_url=f"ws://{host}:{port}/ws-api/v3",
        model_url=f"http://{host}:{port}/model/v1",
    )


def write_state(path: Path, state: ExchangeState) -> None:
    """Replace the file in one step, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")
    os.replace(draft, path)


def read_state(path: Path) -> ExchangeState:
    """Read a state file.

    Raises:
        PreflightFailed: there is none, or it cannot be understood.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=ExchangeState)
    except OSError as error:
        raise PreflightFailed(f"no exchange state at {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PreflightFailed(f"{path} is no exchange state: {error}") from error
