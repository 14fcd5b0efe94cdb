"""Where the webhook's address comes from, and what happens when it cannot be used."""

from pathlib import Path

import pytest

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.settings import AlertSettings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.runtime.alerting import usable_webhook
from livespot.runtime.config import load_settings
from livespot.runtime.environment import Secrets, read_secrets
from livespot.testing.clock import ManualClock

_TOKEN = "T" * 40
_ADDRESS = f"https://hooks.example/{_TOKEN}"


def _file(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / ".webhook"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return directory / ".env"


@pytest.mark.parametrize("absolute", [True, False])
def test_the_address_is_read_from_its_private_file(tmp_path: Path, absolute: bool) -> None:
    beside = _file(tmp_path, f"{_ADDRESS}\n")
    name = str(tmp_path / ".webhook") if absolute else ".webhook"
    told: list[Alert] = []

    found = usable_webhook(
        AlertSettings(webhook=name), beside, tell=told.append, clock=ManualClock()
    )

    assert found.reveal() == _ADDRESS
    assert told == []
    assert _TOKEN not in f"{found!r} {found}"


@pytest.mark.parametrize(
    ("text", "mode"), [(_ADDRESS, 0o640), (f"http://hooks.example/{_TOKEN}", 0o600), ("é", 0o600)]
)
def test_a_start_that_must_happen_goes_on_without_it_and_says_so(
    tmp_path: Path, text: str, mode: int
) -> None:
    beside = _file(tmp_path, text, mode)
    told: list[Alert] = []

    found = usable_webhook(
        AlertSettings(webhook=".webhook"), beside, tell=told.append, clock=ManualClock()
    )

    assert not found
    (alert,) = told
    assert (alert.severity, alert.text.startswith("alerts stay here: ")) == (Severity.WARN, True)
    assert _TOKEN not in alert.text


def test_an_address_in_the_configuration_is_refused_and_not_quoted() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        load_settings(f'[alerts]\nwebhook = "{_ADDRESS}"\n', path="x.toml")

    assert "must name a private file" in str(refused.value)
    assert _TOKEN not in str(refused.value)


def test_the_address_and_its_token_are_among_what_is_masked(tmp_path: Path) -> None:
    beside = _file(tmp_path, _ADDRESS)
    plain = read_secrets(tmp_path / "none")
    webhook = usable_webhook(
        AlertSettings(webhook=".webhook"), beside, tell=list[Alert]().append, clock=ManualClock()
    )
    secrets = Secrets(
        binance_api_key=plain.binance_api_key,
        binance_api_secret=plain.binance_api_secret,
        openai_api_key=plain.openai_api_key,
        webhook=webhook,
    )

    assert {_ADDRESS, _TOKEN} <= {secret.reveal() for secret in secrets.all()}
    assert "webhook" not in secrets.missing()
