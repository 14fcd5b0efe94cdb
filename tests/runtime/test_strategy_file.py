"""A strategy of one's own: the page's example runs, anything else is refused with a reason."""

import hashlib
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.settings import Settings, StrategySettings
from livespot.contracts.vocabulary import Direction, Mode, RegimeLabel
from livespot.rules.strategies import strategy_for
from livespot.rules.strategy import Blocked, Strategy
from livespot.runtime.files import load_config
from livespot.runtime.paths import Paths
from livespot.runtime.strategy_file import chosen_strategy
from livespot.testing.market_values import NOW_MS, a_snapshot
from livespot_cmd.main import livespot

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "strategy.md"
_EXAMPLE = re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]


def _written(directory: Path, source: str, sha256: str = "") -> str:
    """A configuration that names the file; with its own hash unless told otherwise."""
    file = directory / "my_strategy.py"
    file.write_text(source, encoding="utf-8")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    return (
        '[strategy]\nid = "TREND_ONLY"\nversion = "1.0.0"\n'
        f'file = "{file}"\nfile_sha256 = "{sha256 or found}"\n'
    )


def _load(directory: Path, config: str) -> Settings:
    path = directory / "livespot.toml"
    path.write_text(config, encoding="utf-8")
    return load_config(Paths(var=directory), path).settings


def _problem(directory: Path, config: str) -> str:
    with pytest.raises(ConfigInvalid) as refused:
        _load(directory, config)
    return str(refused.value)


def _propose(strategy: Strategy, settings: Settings, *, ranging: bool) -> Decision | Blocked:
    good = a_snapshot(settings)
    regime = msgspec.structs.replace(
        good.regime,
        label=RegimeLabel.RANGE,
        direction=Direction.BEAR,
        range_score_x10000=8000,
    )
    seen = a_snapshot(settings, regime=regime) if ranging else good
    return strategy.propose(seen, settings, mode=Mode.SIM, cycle_id="cyc_1", now_ms=NOW_MS)


def test_the_example_of_the_page_is_loaded_and_decides(tmp_path: Path) -> None:
    settings = _load(tmp_path, _written(tmp_path, _EXAMPLE))
    strategy = chosen_strategy(settings)

    wanted = _propose(strategy, settings, ranging=False)
    unwanted = _propose(strategy, settings, ranging=True)

    assert isinstance(wanted, Decision)
    assert (wanted.strategy_id, wanted.strategy_version) == ("TREND_ONLY", "1.0.0")
    assert isinstance(_propose(strategy_for(Settings()), Settings(), ranging=True), Decision)
    assert isinstance(unwanted, Blocked)
    assert unwanted.reasons == (ReasonCode.STRAT_REGIME_WEAK,)
    plan = wanted.entry_plan
    assert plan is not None
    again = strategy.reevaluate(
        a_snapshot(settings), settings, wanted, price=plan.limit_price, attempt=1
    )
    assert again.holds


def test_the_example_is_short_and_equal_inputs_give_it_equal_ids(tmp_path: Path) -> None:
    settings = _load(tmp_path, _written(tmp_path, _EXAMPLE))

    ids = {
        outcome.decision_id
        for outcome in (
            _propose(chosen_strategy(settings), settings, ranging=False) for _ in range(3)
        )
        if isinstance(outcome, Decision)
    }

    assert len(ids) == 1
    assert len(_EXAMPLE.splitlines()) < 45


def test_a_changed_file_is_another_configuration(tmp_path: Path) -> None:
    before = load_config(Paths(var=tmp_path), _config(tmp_path, _EXAMPLE)).config_hash
    changed = _config(tmp_path, _EXAMPLE + "\n# looked at again\n")

    assert load_config(Paths(var=tmp_path), changed).config_hash != before


def _config(directory: Path, source: str) -> Path:
    path = directory / "livespot.toml"
    path.write_text(_written(directory, source), encoding="utf-8")
    return path


def test_a_file_that_is_not_the_pinned_one_is_not_executed(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    source = f"open({str(trap)!r}, 'w').close()\n" + _EXAMPLE

    problem = _problem(tmp_path, _written(tmp_path, source, sha256="0" * 64))

    assert hashlib.sha256(source.encode()).hexdigest() in problem
    assert "read the file, then set strategy.file_sha256" in problem
    assert not trap.exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("def broken(:\n", "SyntaxError", id="no-python"),
        pytest.param("import a_module_nobody_has\n", "ModuleNotFoundError", id="no-module"),
        pytest.param("x = nothing_of_that_name\n", "NameError", id="no-name"),
        pytest.param("x = 1\n", "defines no STRATEGY", id="no-strategy"),
        pytest.param(
            "class Half:\n    id = 'TREND_ONLY'\nSTRATEGY = Half()\n",
            "lacks text 'version', propose(), reevaluate()",
            id="half-a-strategy",
        ),
        pytest.param(
            "from livespot.rules.pullback import PullbackMaker\nSTRATEGY = PullbackMaker()\n",
            "which ships with livespot",
            id="a-taken-name",
        ),
        pytest.param(
            _EXAMPLE.replace('"TREND_ONLY"', '"TREND_ONLT"'),
            "strategy.id = 'TREND_ONLY': not registered; did you mean 'TREND_ONLT'?",
            id="another-name",
        ),
        pytest.param(
            _EXAMPLE.replace('"1.0.0"', '"1.0.1"'),
            "strategy.version = '1.0.0': TREND_ONLY is registered as 1.0.1",
            id="another-version",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, source: str, said: str) -> None:
    assert said in _problem(tmp_path, _written(tmp_path, source))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    config = _written(tmp_path, _EXAMPLE)
    (tmp_path / "my_strategy.py").unlink()

    # Another test may have loaded the same content, so this asks for one nobody has.
    assert "cannot be read" in _problem(tmp_path, re.sub("[0-9a-f]{64}", "1" * 64, config))


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            StrategySettings(id="REGIME_PULLBACK_MAKR_V1"),
            "did you mean 'REGIME_PULLBACK_MAKER_V1'?",
        ),
        (StrategySettings(id="SOMETHING"), "registered: REGIME_PULLBACK_MAKER_V1 1.0.0"),
        (StrategySettings(version="2.0.0"), "REGIME_PULLBACK_MAKER_V1 is registered as 1.0.0"),
        (StrategySettings(file_sha256="0" * 64), "strategy.file names no file"),
    ],
)
def test_a_strategy_that_is_not_registered_is_refused_with_what_is(
    chosen: StrategySettings, said: str
) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        chosen_strategy(Settings(strategy=chosen))

    assert said in str(refused.value)


def test_the_configuration_check_refuses_it_before_any_run(tmp_path: Path) -> None:
    path = tmp_path / "livespot.toml"
    path.write_text('[strategy]\nid = "REGIME_PULLBACK_MAKER"\n', encoding="utf-8")

    done = CliRunner().invoke(
        livespot, ["config", "check", "--config", str(path), "--var", str(tmp_path)]
    )

    assert done.exit_code != 0
    assert isinstance(done.exception, ConfigInvalid)


def test_a_hash_must_look_like_one() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"file_sha256": "abc"}, StrategySettings)
