"""Checks the model gate: one real question whose answer must fit the schema."""

from collections.abc import Iterator

from livespot.contracts.canonical import canonical_json, sha256_hex
from livespot.contracts.errors import PreflightFailed
from livespot.gate.client import GateClient, GateFailed
from livespot.gate.prompts import PROMPT_VERSION, GateInput, Prompt, chat_request, load_prompt
from livespot.rules.doctor import Check, Outcome
from livespot.rules.gate_answer import AnswerRefused, parse_answer
from livespot.runtime.doctor_plan import DoctorPlan, Probe, quoted
from livespot.runtime.live_facts import needs_gate_key

_SLACK_SECONDS = 1.0


def gate_probes(plan: DoctorPlan) -> Iterator[Probe]:
    gate = plan.settings.ai_gate

    async def ask() -> Check:
        return await check_gate(plan)

    yield Probe(
        id="ai_gate",
        title="AI gate",
        look=ask,
        remedy=f"curl -sS -m 5 -I {gate.base_url}",
        seconds=gate.timeout_ms / 1000 + _SLACK_SECONDS,
        on_error=_on_failure(plan),
    )


async def check_gate(plan: DoctorPlan) -> Check:
    """Ask one question; this costs one call. A verdict of BLOCK passes like any other."""
    gate = plan.settings.ai_gate
    if gate.ai_dec == 0:
        return _row(Outcome.PASS, "switched off by ai_gate.ai_dec = 0")
    if needs_gate_key(plan.settings) and not plan.secrets.openai_api_key:
        command = f"(umask 077 && ${{EDITOR:-vi}} {quoted(plan.paths.dotenv)})"
        return _row(_on_failure(plan), "not asked", "OPENAI_API_KEY is not set", command)
    prompt = _prompt(plan)
    client = GateClient(
        transport=plan.http,
        base_url=gate.base_url,
        key=plan.secrets.openai_api_key,
        timeout_seconds=gate.timeout_ms / 1000 * plan.speed,
    )
    asked = _question(prompt)
    before_ms = plan.clock.monotonic_ms()
    try:
        said = await client.complete(chat_request(asked, prompt, model=gate.model))
    except GateFailed as error:
        command = f"curl -sS -m 5 -I {gate.base_url}"
        return _row(_on_failure(plan), "no usable answer", f"{error.code}: {error.detail}", command)
    took_ms = (plan.clock.monotonic_ms() - before_ms) // plan.speed
    if said.declined:
        return _row(_on_failure(plan), "declined to answer", f"try another model than {gate.model}")
    answer = parse_answer(said.content, input_hash=asked.input_hash)
    if isinstance(answer, AnswerRefused):
        detail = f"{answer.code}: {answer.detail}; try another model than {gate.model}"
        return _row(_on_failure(plan), "invalid answer", detail)
    return _row(Outcome.PASS, f"{answer.verdict} from {gate.model} after {took_ms} ms")


def _question(prompt: Prompt) -> GateInput:
    """Return a question about nothing, so that its answer has no consequence."""
    payload = canonical_json(
        {
            "prompt_version": PROMPT_VERSION,
            "prompt_hash": prompt.hash,
            "purpose": "preflight, no order depends on this answer",
        }
    )
    return GateInput(payload=payload, input_hash=sha256_hex(payload))


def _prompt(plan: DoctorPlan) -> Prompt:
    try:
        return load_prompt(lambda name: plan.disk.read(plan.prompts / name))
    except OSError as error:
        raise PreflightFailed("the prompt files are missing, so nothing can be asked") from error


def _on_failure(plan: DoctorPlan) -> Outcome:
    return Outcome.FAIL if plan.settings.ai_gate.ai_dec == 2 else Outcome.WARN


def _row(outcome: Outcome, measured: str, detail: str = "", command: str = "") -> Check:
    return Check(
        id="ai_gate",
        title="AI gate",
        outcome=outcome,
        measured=measured,
        limit="a valid answer",
        next_command=command,
        detail=detail,
    )
