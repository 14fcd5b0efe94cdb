"""Checks of the machine, the configuration and the keys; no network, no database."""

import platform
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.settings import LiveSettings
from livespot.evidence.moments import instant
from livespot.gate.prompts import load_prompt
from livespot.rules.doctor import (
    Check,
    Outcome,
    limit_checks,
    requirement_name,
    secret_problem,
    unmet,
)
from livespot.rules.live_locks import judge_live
from livespot.rules.words import printable
from livespot.runtime.doctor_plan import DoctorPlan, Need, Probe, Rows, quoted
from livespot.runtime.drill_record import COMMAND, proof
from livespot.runtime.live_facts import lock_only_facts, missing_secrets
from livespot.runtime.paths import project_root
from livespot.venue.signing import load_signer

_OLDEST_PYTHON = (3, 11)
_REASON_BYTES = 200
_PEM = "-----BEGIN"
# Only matters where real orders are sent.
_LIVE_ONLY = frozenset({"live_lock", "drills"})


def local_probes(plan: DoctorPlan) -> Iterator[Probe]:
    """Yield the probes in the order of their rows."""
    looks: tuple[tuple[str, str, Callable[[DoctorPlan], Rows]], ...] = (
        ("python", "Python", check_python),
        ("dependencies", "Dependencies", check_dependencies),
        ("config", "Configuration", check_config),
        ("secrets", "Secrets", check_secrets),
        ("prompts", "Prompt files", check_prompts),
        ("stop_file", "STOP file", check_stop_file),
        ("live_lock", "Live lock", check_live_lock),
        ("drills", "Crash drills", check_drills),
    )
    for name, title, look in looks:
        if name not in _LIVE_ONLY or plan.check_live_lock:
            yield as_probe(plan, name, title, look)


def as_probe(plan: DoctorPlan, name: str, title: str, look: Callable[[DoctorPlan], Rows]) -> Probe:
    """Return a probe of a check that awaits nothing."""

    async def run() -> Rows:
        return look(plan)

    return Probe(id=name, title=title, look=run)


def check_python(plan: DoctorPlan) -> Check:
    del plan
    good = sys.version_info >= _OLDEST_PYTHON
    return Check(
        id="python",
        title="Python",
        outcome=Outcome.PASS if good else Outcome.FAIL,
        measured=platform.python_version(),
        limit=">= " + ".".join(map(str, _OLDEST_PYTHON)),
    )


def check_dependencies(plan: DoctorPlan) -> Check:
    """Every distribution that this one requires is installed in a version within its bounds."""
    del plan
    wanted = _requirements()
    problems = [problem for line in wanted if (problem := _dependency_problem(line))]
    command = _reinstall()
    return Check(
        id="dependencies",
        title="Dependencies",
        outcome=Outcome.FAIL if problems else Outcome.PASS,
        measured=f"{len(wanted) - len(problems)} of {len(wanted)} as required",
        limit="all",
        next_command=command if problems else "",
        detail="; ".join(problems),
    )


def check_config(plan: DoctorPlan) -> tuple[Check, ...]:
    """Find settings that are valid, but have no effect or do not suit live trading."""
    loaded, settings = plan.loaded, plan.settings
    odd: list[str] = []
    if settings.ai_gate.ai_dec < 2 and not settings.live.allow_gate_below_2:
        odd.append(f"ai_gate.ai_dec is {settings.ai_gate.ai_dec}, live trading needs 2")
    if not settings.live.require_ok_file:
        odd.append("live.require_ok_file = false changes nothing: the lock file is always required")
    usual = LiveSettings()
    if (settings.live.ok_file, settings.live.stop_file) != (usual.ok_file, usual.stop_file):
        odd.append(
            f"live.ok_file and live.stop_file are not followed; the files are "
            f"{plan.paths.live_ok} and {plan.paths.stop_file}"
        )
    keys = len(loaded.from_file)
    row = Check(
        id="config",
        title="Configuration",
        outcome=Outcome.WARN if odd else Outcome.PASS,
        measured=f"{keys} key{'' if keys == 1 else 's'} set, hash {loaded.config_hash[:12]}",
        limit="valid",
        next_command=plan.command("livespot config diff") if odd else "",
        detail="; ".join(odd),
    )
    return (row, *limit_checks(settings))


def check_secrets(plan: DoctorPlan) -> Check:
    """Which secrets are set and well-formed; their content is never shown."""
    needed = bool(plan.needs & {Need.ACCOUNT, Need.GATE})
    missing = missing_secrets(plan.settings, plan.secrets)
    problems = [f"{name} is not set" for name in missing]
    malformed = _malformed(plan)
    present = 3 - len(plan.secrets.missing())
    outcome = Outcome.PASS
    if missing or malformed:
        outcome = Outcome.FAIL if needed and missing else Outcome.WARN
    if any(severe for _, severe in malformed):
        outcome = Outcome.FAIL
    dotenv = quoted(plan.paths.dotenv)
    return Check(
        id="secrets",
        title="Secrets",
        outcome=outcome,
        measured=f"{present} of 3 set",
        limit="needed by livespot live only" if not needed else "all set and well-formed",
        next_command=f"(umask 077 && ${{EDITOR:-vi}} {dotenv})"
        if outcome is not Outcome.PASS
        else "",
        detail="; ".join([*problems, *(text for text, _ in malformed)]),
    )


def check_prompts(plan: DoctorPlan) -> Check:
    try:
        prompt = load_prompt(lambda name: plan.disk.read(plan.prompts / name))
    except (OSError, ConfigInvalid) as error:
        return Check(
            id="prompts",
            title="Prompt files",
            outcome=Outcome.FAIL,
            measured="missing or unreadable",
            next_command=_prompts_back(),
            detail=f"{plan.prompts}: {error}",
        )
    return Check(
        id="prompts",
        title="Prompt files",
        outcome=Outcome.PASS,
        measured=f"hash {prompt.hash[:12]}",
    )


def check_stop_file(plan: DoctorPlan) -> Check:
    present = plan.disk.exists(plan.paths.stop_file)
    words = plan.disk.read(plan.paths.stop_file)[:_REASON_BYTES] if present else b""
    reason = printable(words.decode("utf-8", "replace")).strip()
    return Check(
        id="stop_file",
        title="STOP file",
        outcome=Outcome.FAIL if present else Outcome.PASS,
        measured=f"present: {reason or 'no reason in it'}" if present else "none",
        limit="none",
        next_command=f"rm {quoted(plan.paths.stop_file)}" if present else "",
        detail="every run ends while it is there; remove it when you mean to trade"
        if present
        else "",
    )


def check_live_lock(plan: DoctorPlan) -> Check:
    """The lock file as a live start would judge it; a simulation does not need it."""
    live = plan.settings.live
    facts = lock_only_facts(plan.paths, plan.settings, now_ms=plan.clock.now_ms())
    problems = judge_live(facts).locked
    stamp = "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    write = (
        f"""printf 'account = "%s"\\ndate = %s\\n' {shlex.quote(live.account_label)} "{stamp}" > """
        f"{quoted(plan.paths.live_ok)}"
    )
    config = f"${{EDITOR:-vi}} {quoted(plan.paths.config)}"
    return Check(
        id="live_lock",
        title="Live lock",
        outcome=Outcome.WARN if problems else Outcome.PASS,
        measured="locked" if problems else f"open for {live.account_label}",
        limit="needed by livespot live only",
        next_command="" if not problems else write if live.account_label else config,
        detail="; ".join(problems),
    )


def check_drills(plan: DoctorPlan) -> Check:
    """The running version has passed all crash drills, preferably with the current settings."""
    found = proof(plan.disk, plan.paths)
    other = not found.problem and found.config_hash != plan.loaded.config_hash
    detail = found.problem or ("they were passed with other settings" if other else "")
    path = plan.loaded.path
    config = "" if path == str(plan.paths.config) else f" --config {shlex.quote(path)}"
    return Check(
        id="drills",
        title="Crash drills",
        outcome=Outcome.WARN if detail else Outcome.PASS,
        measured="no pass" if found.problem else f"passed at {instant(found.at_ms)}",
        limit="needed by livespot live only",
        next_command=plan.command(COMMAND) + config if detail else "",
        detail=detail,
    )


def quoted_python() -> str:
    """Return the path of this interpreter, quoted for a shell."""
    return shlex.quote(sys.executable or "python3")


def _reinstall() -> str:
    """Return the command that reinstalls the program from its own source.

    Never by name from a package registry: a package of that name may be somebody else's.
    """
    script = project_root() / "scripts" / "environment"
    if not script.is_file():
        return f"{quoted_python()} -m pip check"
    stamps = quoted(project_root() / ".venv") + "/.livespot-*"
    return f"rm -f {stamps} && {quoted(script)}"


def _prompts_back() -> str:
    if not (project_root() / "pyproject.toml").is_file():
        return f"{quoted_python()} -m pip show --files livespot"
    return f"git -C {quoted(project_root())} checkout -- prompts"


def _malformed(plan: DoctorPlan) -> list[tuple[str, bool]]:
    """Return (problem, whether it rules out working) for each secret that is set."""
    found: list[tuple[str, bool]] = []
    secrets = plan.secrets
    real = plan.settings.venue.rest_url.startswith("https://")
    for name, secret, is_key in (
        ("BINANCE_API_KEY", secrets.binance_api_key, real),
        ("BINANCE_API_SECRET", secrets.binance_api_secret, real),
        ("OPENAI_API_KEY", secrets.openai_api_key, False),
    ):
        text = secret.reveal()
        if not text or text.strip().startswith(_PEM):
            continue
        problem = secret_problem(text, exchange_key=is_key)
        if problem:
            found.append((f"{name} {problem}", "64 letters" not in problem))
    if secrets.binance_api_key and secrets.binance_api_secret:
        try:
            load_signer(secrets.binance_api_key, secrets.binance_api_secret)
        except ConfigInvalid as error:
            found.append((str(error), True))
    return found


def _requirements() -> tuple[str, ...]:
    """Return the dependency lines of the installed distribution, else of the checkout."""
    try:
        lines = metadata.requires("livespot")
    except metadata.PackageNotFoundError:
        lines = None
    if lines is None:
        pyproject = project_root() / "pyproject.toml"
        if not pyproject.is_file():
            return ()
        lines = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    return tuple(line for line in lines if _applies(line))


def _applies(line: str) -> bool:
    _, _, marker = line.partition(";")
    return not ("extra" in marker or ("win32" in marker and sys.platform == "win32"))


def _dependency_problem(line: str) -> str:
    name = requirement_name(line)
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    broken = unmet(line, installed)
    return f"{name} {installed} is installed, {broken} is required" if broken else ""
