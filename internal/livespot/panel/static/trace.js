// The course of one decision or intent, told step by step.

import { el, since } from "/static/dom.js";
import { amount, ratio, utc, words } from "/static/format.js";
import { badge, codes, copyable, opener } from "/static/parts.js";

const STATES = {
  DONE: ["good", "✓", "done"], STOPPED: ["bad", "✕", "ended here"], WAITING: ["warn", "?", "not known yet"], NONE: ["", "·", "not reached"],
};

export function trace(view) {
  return [
    el("div", { class: `verdict ${tone(view.steps)}` }, view.headline),
    el("div", { class: "ids" }, view.ids.flatMap(identified)),
    el("ol", { class: "steps" }, view.steps.map(step)),
    view.related.length ? el("section", { "aria-label": "Related" }, el("h3", {}, "Related"), el("ul", { class: "related" }, view.related.map((id) => el("li", {}, related(id))))) : null,
  ];
}

function tone(steps) {
  if (steps.some((one) => one.state === "STOPPED")) return "bad";
  // An order that rests and a position that is open have no outcome yet, which is no trouble.
  return steps.some((one) => one.state === "WAITING" && one.name === "intents") ? "warn" : "good";
}

function identified(id) {
  return [el("span", { class: "soft" }, words(id.name)), copyable(id.value)];
}

function related(id) {
  const kind = id.name.includes("intent") ? "intent" : id.name.includes("decision") ? "decision" : "";
  return [el("span", { class: "soft" }, `${words(id.name)} `), kind ? opener(kind, id.value, id.value) : copyable(id.value)];
}

function step(one) {
  const [kind, mark, word] = STATES[one.state] || ["", "·", words(one.state)];
  return el("li", { class: one.state === "NONE" ? "absent" : kind },
    el("h3", {}, one.title, badge(kind, mark, word)),
    one.lines.map((line) => el("p", {}, line)),
    unsaid(one).length ? el("div", { class: "why" }, codes(unsaid(one), 12)) : null,
    one.facts.length ? el("details", {}, el("summary", {}, one.facts.length === 1 ? "The row behind it" : `The ${one.facts.length} rows behind it`), one.facts.map(row)) : null);
}

// Codes the words of the step already name are not said twice.
function unsaid(one) {
  return one.codes.filter((code) => !one.lines.some((line) => line.includes(code.code)));
}

function row(facts) {
  const entries = Object.entries(facts).filter(([, value]) => value !== "" && value !== null);
  return el("dl", { class: "facts sub" }, entries.map(([name, value]) => el("div", {}, el("dt", {}, words(name.replace(/_x10000$/, ""))), el("dd", { class: "wrap" }, said(name, value)))));
}

function said(name, value) {
  if (name.endsWith("_ms") && value > 1e12) return [utc(value), ", ", since(value, " ago")];
  if (name.endsWith("_x10000")) return ratio(value);
  if (/(_id|_hash)$/.test(name)) return copyable(`${value}`);
  if (typeof value === "string") return /^-?\d+\.\d+$/.test(value) ? amount(value, 8) : value;
  return typeof value === "object" ? JSON.stringify(value) : `${value}`;
}
