"""Secrets come from three variables, once, and from files nobody else can read."""

import os
import sys
import traceback
from pathlib import Path

import pytest

from livespot.contracts.errors import ConfigInvalid
from livespot.runtime.environment import NAMES, environment_of_a_child, read_secrets

CANARY = "canary-5f1d0c7e93ab"
PEM = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="no permission bits there")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        # Set first, so that the value before the test comes back after it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def private(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def refusal(dotenv: Path) -> str:
    """Everything an operator or a log could get to see of the error."""
    with pytest.raises(ConfigInvalid) as caught:
        read_secrets(dotenv)
    return "".join(traceback.format_exception(caught.value, chain=True))


def test_three_variables_are_read_and_taken_out_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, f" {name.lower()} ")
    monkeypatch.setenv("BINANCE_API_PASSPHRASE", "stays")

    secrets = read_secrets(tmp_path / ".env")

    assert secrets.binance_api_key.reveal() == "binance_api_key"
    assert secrets.binance_api_secret.reveal() == "binance_api_secret"
    assert secrets.openai_api_key.reveal() == "openai_api_key"
    assert not [name for name in NAMES if name in os.environ]
    assert os.environ["BINANCE_API_PASSPHRASE"] == "stays"
    assert "api_key" not in repr(secrets).replace("api_key=", "")


def test_a_child_process_inherits_everything_but_the_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("LANGUAGE", "eo")

    inherited = environment_of_a_child()

    assert inherited["LANGUAGE"] == "eo"
    assert CANARY not in inherited.values()


def test_what_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)

    secrets = read_secrets(tmp_path / ".env")

    assert secrets.missing() == ("BINANCE_API_KEY", "BINANCE_API_SECRET")
    assert [secret.reveal() for secret in secrets.all()] == [CANARY]


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv = private(tmp_path / ".env", "BINANCE_API_KEY=from-file\nOPENAI_API_KEY='of $HOME'\n")
    monkeypatch.setenv("BINANCE_API_KEY", "from-environment")

    secrets = read_secrets(dotenv)

    assert secrets.binance_api_key.reveal() == "from-environment"
    assert secrets.openai_api_key.reveal() == "of $HOME"


def test_the_file_adds_nothing_to_the_environment(tmp_path: Path) -> None:
    before = dict(os.environ)

    read_secrets(private(tmp_path / ".env", f"BINANCE_API_KEY={CANARY}\nPATH=/nowhere\n"))

    assert dict(os.environ) == before


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    dotenv = private(tmp_path / ".env", f"BINANCE_API_KEY={CANARY}\n")
    dotenv.chmod(mode)

    shown = refusal(dotenv)

    assert "chmod 600 .env" in shown
    assert CANARY not in shown


def test_a_file_that_is_no_text_is_refused_without_quoting_it(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(f"BINANCE_API_KEY={CANARY}".encode() + b"\xff\n")
    dotenv.chmod(0o600)

    shown = refusal(dotenv)

    assert ".env is not utf-8 text" in shown
    assert CANARY not in shown
    assert "0xff" not in shown


def test_a_secret_may_live_in_a_key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = private(tmp_path / "key.pem", PEM)
    monkeypatch.setenv("BINANCE_API_SECRET", str(key))

    secrets = read_secrets(tmp_path / ".env")

    assert secrets.binance_api_secret.reveal() == PEM


@posix_only
def test_a_key_file_others_can_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = private(tmp_path / "key.pem", PEM)
    key.chmod(0o644)
    monkeypatch.setenv("BINANCE_API_SECRET", str(key))

    shown = refusal(tmp_path / ".env")

    assert "chmod 600 key.pem" in shown
    assert CANARY not in shown


def test_a_key_file_that_is_no_text_is_refused_without_quoting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = private(tmp_path / "key.pem", PEM + "é")
    monkeypatch.setenv("BINANCE_API_SECRET", str(key))

    shown = refusal(tmp_path / ".env")

    assert "key.pem is not ascii text" in shown
    assert CANARY not in shown


def test_a_missing_key_file_is_not_taken_for_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_API_SECRET", str(tmp_path / "mistyped.pem"))

    shown = refusal(tmp_path / ".env")

    assert "names a .pem file that does not exist" in shown
    assert "mistyped" not in shown.splitlines()[-1]
