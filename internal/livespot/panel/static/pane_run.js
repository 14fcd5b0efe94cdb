// The run: what exactly is running, and with which configuration.

import { el, since } from "/static/dom.js";
import { age, number, share, utc } from "/static/format.js";
import { codes, copyable, empty, fact, table, unknowns } from "/static/parts.js";

export const parts = [
  { id: "manifest", title: "Manifest", of: ["run"], build: manifest },
  { id: "survival", title: "Survival", of: ["survival"], build: survival },
  { id: "config", title: "Configuration", of: ["run"], build: config },
];

function manifest({ run: { manifest: m } }) {
  if (!m.run_id) return [empty("Nothing has run", "The first run records its version and settings here.")];
  const plain = (name, value) => fact(name, value === "" || value === null ? el("span", { class: "soft" }, "—") : `${value}`);
  return [el("dl", { class: "facts" },
    fact("Run", copyable(m.run_id)), plain("Mode", m.mode), plain("Account", m.account_label), fact("Started", [`${utc(m.started_ms)} UTC, `, since(m.started_ms, " ago")]),
    m.ended_ms ? fact("Ended", `${utc(m.ended_ms)} UTC`) : null, m.exit_code === null ? null : plain("Exit code", m.exit_code),
    plain("Version", m.version), plain("Python", m.python), plain("SQLite", m.sqlite), plain("Database schema", m.schema_version), plain("Platform", m.platform),
    plain("Strategy", `${m.strategy_id} ${m.strategy_version}`.trim()), fact("Strategy file", copyable(m.strategy_file_sha256)),
    fact("Configuration hash", copyable(m.config_hash)), fact("Prompt hash", copyable(m.prompt_hash)), fact("Previous run", copyable(m.previous_run_id))),
  m.end_reasons.length ? el("div", { class: "why" }, codes(m.end_reasons)) : null, unknowns(m.unknown)];
}

// Figures for people; no decision ever reads them.
const SURVIVED = [
  ["Uptime", "uptime_ms", age], ["Internal failures", "internal_failures", number], ["Uptime per failure", "between_failures_ms", age],
  ["Longest time to NORMAL", "restart_ms", age], ["Longest without a stop", "unprotected_max_ms", age], ["Without a stop, 99 % below", "unprotected_p99_ms", age],
  ["Without a stop in all", "unprotected_total_ms", age], ["Intents in doubt", "unknown_intents", number], ["Of these still open", "unresolved_intents", number],
  ["Longest until resolved", "resolve_max_ms", age], ["Fills the stream missed", "missed_fills", number], ["Drift corrections", "drift_corrections", number],
];

function survival({ survival: s }) {
  if (!s.run || !s.over_runs) return [empty("Not counted", "The figures are counted once a minute."), unknowns(s.unknown)];
  const figure = (view, name, shown) => el("td", { class: "n" }, view[name] === null ? el("span", { class: "soft", title: view.unknown[name] }, `— ${view.unknown[name]}`) : shown(view[name]));
  const stay = (view, mode) => el("td", { class: "n" }, mode in view.modes_ms ? `${age(view.modes_ms[mode])}, ${share((10000 * view.modes_ms[mode]) / Math.max(1, Object.values(view.modes_ms).reduce((sum, ms) => sum + ms, 0)))}` : "—");
  return [table("Survival", ["Figure", "This run", s.over_runs.runs === 1 ? "All runs (1)" : `All ${s.over_runs.runs} runs`], [1, 2], [
    ...SURVIVED.map(([title, name, shown]) => el("tr", {}, el("td", {}, title), figure(s.run, name, shown), figure(s.over_runs, name, shown))),
    ...Object.keys(s.over_runs.modes_ms).map((mode) => el("tr", {}, el("td", {}, `Time in ${mode}`), stay(s.run, mode), stay(s.over_runs, mode)))]),
  el("p", { class: "soft small" }, "Counted ", since(s.at_ms, " ago"), ", once a minute. No decision reads these figures.")];
}

function config({ run }) {
  const sections = Object.entries(run.config);
  if (!sections.length) return [empty("No configuration recorded", "The whole configuration is kept with each run."), unknowns(run.unknown)];
  return [el("div", { class: "sections" }, sections.map(([name, section]) => el("section", { class: "section", "aria-label": name }, el("h3", { class: "mono" }, name),
    section !== null && typeof section === "object" && !Array.isArray(section)
      ? table(`Configuration of ${name}`, ["Key", "Value"], [], Object.entries(section).map(([key, value]) => el("tr", {}, el("td", { class: "mono" }, key), el("td", { class: "mono wrap" }, said(value)))), "plain")
      : el("p", { class: "mono wrap" }, said(section)))), unknowns(run.unknown))];
}

function said(value) {
  return typeof value === "string" ? value || "—" : JSON.stringify(value);
}
