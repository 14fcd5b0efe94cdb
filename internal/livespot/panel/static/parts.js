// The pieces cards are put together from: badges, tables, bars, sparklines, ids.

import { el, svg } from "/static/dom.js";

const SEVERITY = { INFO: ["", "i", "Info"], WARN: ["warn", "!", "Warning"], CRIT: ["bad", "‼", "Critical"] };
const INTENT = {
  CREATED: ["", "○", "created"], SENT_UNKNOWN: ["warn", "?", "outcome unknown"], CONFIRMED: ["good", "✓", "confirmed"],
  FAILED_TERMINAL: ["bad", "✕", "failed"], NOT_FOUND: ["", "∅", "not found"],
};
const LABEL = { OK: ["good", "✓"], WARN: ["warn", "!"], BAD: ["bad", "✕"] };

export function badge(kind, mark, text) {
  return el("span", { class: `badge ${kind}` }, el("span", { "aria-hidden": "true" }, mark), text);
}

export function severity(name) {
  const [kind, mark, word] = SEVERITY[name] || ["", "·", name];
  return badge(kind, mark, word);
}

export function intentState(name, many = 0) {
  const [kind, mark, word] = INTENT[name] || ["", "·", name];
  return badge(kind, mark, many ? `${many} ${word}` : word);
}

export function labelled(name, text = name) {
  const [kind, mark] = LABEL[name] || ["", "·"];
  return badge(kind, mark, text);
}

export function verdict(name) {
  if (name === "ALLOW") return badge("good", "✓", "allow");
  if (name === "MODIFY") return badge("warn", "≤", "modify");
  return badge(name === "ERROR" ? "bad" : "warn", name === "ERROR" ? "‼" : "✕", name.toLowerCase() || "—");
}

export function empty(title, text) {
  return el("div", { class: "empty" }, el("b", {}, title), el("span", {}, text));
}

export function copyable(text) {
  if (!text) return el("span", { class: "soft" }, "—");
  const button = el("button", { class: "copy mono", type: "button", title: `Copy ${text}`, "aria-label": `Copy ${text}`, "data-copy": text, "data-key": `copy ${text}` }, el("span", {}, text));
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(text).then(() => {
      button.dataset.copied = "";
      setTimeout(() => delete button.dataset.copied, 1500);
    });
  });
  return button;
}

// Opens the drawer; the page listens for the click in one place.
export function opener(kind, id, label, name = label) {
  if (!id) return el("b", {}, label);
  return el("button", { class: "open", type: "button", "data-open": kind, "data-id": id, "data-key": `open ${kind} ${id}`, "aria-label": `${name}, open the trace of ${kind} ${id}`, title: `Open the trace of ${id}` }, label);
}

export function pair(name, value, small = null) {
  return el("div", {}, el("div", { class: "k" }, name), el("div", { class: "v num" }, value), small ? el("div", { class: "small soft" }, small) : null);
}

export function fact(name, value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value));
}

export function table(name, heads, numeric, rows, kind = "stack") {
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": name, "data-scroll": name, "data-key": `table ${name}` },
    el("table", { class: kind }, el("thead", {}, el("tr", {}, heads.map((head, i) => el("th", { scope: "col", class: numeric.includes(i) ? "n" : null }, head)))), el("tbody", {}, rows)));
}

// What a reason code means, with the code itself beside it.
export function codes(list, most = 4) {
  return list.slice(0, most).map((code) => el("div", { title: code.action }, code.meaning || code.code, code.meaning ? el("span", { class: "soft mono" }, ` ${code.code}`) : null))
    .concat(list.length > most ? [el("div", { class: "soft" }, `and ${list.length - most} more`)] : []);
}

export function spark(values, label) {
  const known = values.filter((value) => value !== null && value >= 0);
  if (known.length < 2) return svg("svg", { class: "spark", "aria-hidden": "true" });
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const step = 100 / (known.length - 1);
  const points = known.map((value, i) => `${(i * step).toFixed(1)} ${(27 - (24 * (value - low)) / span).toFixed(1)}`);
  const line = `M${points.join("L")}`;
  return svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": `${label}, its recent course` },
    svg("path", { class: "area", d: `${line}L100 30L0 30Z` }), svg("path", { d: line }));
}

export function bar(percent, label) {
  const width = Math.max(0, Math.min(100, percent));
  const level = width >= 95 ? "full" : width >= 80 ? "near" : "";
  return svg("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", role: "img", "aria-label": `${label}: ${Math.round(width)} %` },
    svg("rect", { width: 100, height: 6, rx: 2 }), svg("rect", { class: `fill ${level}`, width, height: 6, rx: 2 }));
}

// What is not known, each with the reason nobody knows it.
export function unknowns(...views) {
  const lines = views.flatMap((unknown) => Object.entries(unknown || {}));
  return lines.length ? el("p", { class: "soft small wrap" }, lines.map(([name, why]) => el("span", { class: "gap" }, `${name.replaceAll("_", " ")}: ${why}. `))) : null;
}
