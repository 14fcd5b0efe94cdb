// The AI gate: what it was asked, what it said, how long it took, how often it failed.

import { el, since } from "/static/dom.js";
import { age, share, words } from "/static/format.js";
import { badge, codes, empty, opener, pair, table, unknowns, verdict } from "/static/parts.js";

export const parts = [
  { id: "gate-figures", title: "Figures", of: ["gate"], build: figures },
  { id: "gate-calls", title: "Last calls", of: ["gate"], build: calls },
];

function figures({ gate }) {
  if (!gate.counted) return [empty("The gate was not asked yet", "It sees only proposals that passed every rule, and can only block or shrink them."), unknowns(gate.unknown)];
  const errors = Object.entries(gate.errors);
  return [el("div", { class: "numbers" },
    pair("Calls", `${gate.counted}`, gate.since_ms ? ["over ", since(gate.since_ms)] : null),
    pair("Verdicts", el("span", { class: "counts" }, Object.entries(gate.verdicts).map(([name, many]) => el("span", { class: "keep" }, verdict(name), ` ${many}`)))),
    pair("Latency, half below", age(gate.latency_p50_ms)), pair("Latency, nine of ten below", age(gate.latency_p90_ms)),
    pair("Failed", share(gate.failure_rate_x10000)),
    pair("Failures by kind", errors.length ? el("span", { class: "counts" }, errors.map(([kind, many]) => badge("bad", "✕", `${many} ${words(kind)}`))) : "none")), unknowns(gate.unknown)];
}

function calls({ gate }) {
  if (!gate.calls.length) return [empty("No call yet", "Each call is kept with its verdict, its time and what went wrong.")];
  return [table("Last calls of the gate", ["Symbol", "Verdict", "Latency", "Age", "Why"], [2], gate.calls.map((call) => el("tr", {},
    el("td", { class: "keep" }, opener("decision", call.decision_id, call.symbol || "decision"), " ", el("span", { class: "soft" }, call.enabled ? call.model : "gate off")),
    el("td", { class: "keep" }, verdict(call.verdict), call.modify_applied ? el("span", { class: "soft" }, " applied") : null),
    el("td", { class: "n" }, age(call.latency_ms)), el("td", { class: "keep soft" }, since(call.at_ms)),
    el("td", { class: "why" }, codes(call.reasons), call.error_code ? el("div", {}, el("span", { class: "mono loss" }, call.error_code), ` ${call.error_detail}`) : null, call.patch ? el("div", { class: "mono soft" }, call.patch) : null))))];
}
