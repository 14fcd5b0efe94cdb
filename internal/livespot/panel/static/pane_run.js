// The run: what exactly is running, and with which configuration.

import { el, since } from "/static/dom.js";
import { utc } from "/static/format.js";
import { codes, copyable, empty, fact, table, unknowns } from "/static/parts.js";

export const parts = [
  { id: "manifest", title: "Manifest", of: ["run"], build: manifest },
  { id: "config", title: "Configuration", of: ["run"], build: config },
];

function manifest({ run: { manifest: m } }) {
  if (!m.run_id) return [empty("Nothing has run", "The first run writes down here what it was made of.")];
  const plain = (name, value) => fact(name, value === "" || value === null ? el("span", { class: "soft" }, "—") : `${value}`);
  return [el("dl", { class: "facts" },
    fact("Run", copyable(m.run_id)), plain("Mode", m.mode), plain("Account", m.account_label), fact("Started", [`${utc(m.started_ms)} UTC, `, since(m.started_ms, " ago")]),
    m.ended_ms ? fact("Ended", `${utc(m.ended_ms)} UTC`) : null, m.exit_code === null ? null : plain("Exit code", m.exit_code),
    plain("Version", m.version), plain("Python", m.python), plain("SQLite", m.sqlite), plain("Database schema", m.schema_version), plain("Platform", m.platform),
    plain("Strategy", `${m.strategy_id} ${m.strategy_version}`.trim()), fact("Strategy file", copyable(m.strategy_file_sha256)),
    fact("Configuration hash", copyable(m.config_hash)), fact("Prompt hash", copyable(m.prompt_hash)), fact("Run before", copyable(m.previous_run_id))),
  m.end_reasons.length ? el("div", { class: "why" }, codes(m.end_reasons)) : null, unknowns(m.unknown)];
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
