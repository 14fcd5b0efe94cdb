// Selection: from the universe to the watch list, the guard against churn, how alike the chosen move.

import { el, since } from "/static/dom.js";
import { count, number, ratio, words } from "/static/format.js";
import { badge, codes, empty, pair, table, unknowns } from "/static/parts.js";

export const parts = [
  { id: "choices", title: "Watch list", of: ["selection"], build: choices },
  { id: "correlation", title: "Correlation of watched symbols", size: "half", of: ["selection"], build: correlation },
  { id: "universe", title: "Universe", size: "half", of: ["selection"], build: universe },
  { id: "topn", title: "Top by liquidity", of: ["selection"], build: ({ selection }) => ranking(selection.topn, "Top by liquidity") },
  { id: "deep", title: "Deep scan", of: ["selection"], build: ({ selection }) => ranking(selection.deep, "Deep scan") },
];

function choices({ selection }) {
  if (!selection.choices.length) return [empty("Nothing is chosen yet", "The watch list is chosen at the end of the first scan."), unknowns(selection.unknown)];
  return [el("p", { class: "soft small" }, "Chosen ", since(selection.chosen_at_ms, " ago"),
    selection.guard_min_cycles === null ? "" : ` · a symbol keeps its place for ${selection.guard_min_cycles} cycles unless another is better by ${ratio(selection.guard_min_score_delta_x10000)}`),
  table("Candidates of the watch list", ["Symbol", "Place", "Score", "Cycles kept", "Keeps its place for", ...told(selection.choices)], [1, 2, 3], selection.choices.map((one) => el("tr", {},
    el("td", { class: "keep" }, el("b", {}, one.symbol), " ", one.chosen ? badge("good", "✓", "watched") : badge("", "·", "not chosen")),
    el("td", { class: "n" }, `${one.rank}`), el("td", { class: "n" }, ratio(one.score_x10000)), el("td", { class: "n" }, `${one.incumbent_cycles}`),
    el("td", { class: "keep" }, one.guard_cycles_left ? badge("", "▣", `${one.guard_cycles_left} cycle${one.guard_cycles_left === 1 ? "" : "s"}`) : el("span", { class: "soft" }, "replaceable")),
    telling(one, selection.choices))), "stack"), unknowns(selection.unknown)];
}

function features(all) {
  const shown = Object.entries(all).map(([name, value]) => (name.endsWith("_x10000") ? `${words(name.slice(0, -7))} ${ratio(Number(value))}` : `${words(name)} ${figure(value)}`));
  return shown.length ? shown.join(" · ") : "—";
}

// Nobody reads the eight decimals of a turnover of billions.
function figure(value) {
  const whole = `${value}`.split(".")[0];
  return /^-?\d{4,}$/.test(whole) ? number(Number(whole)) : `${value}`;
}

// The columns that have something to say in at least one line.
function told(lines) {
  return [lines.some((line) => Object.keys(line.features).length) ? "Figures" : null, lines.some((line) => line.reasons.length) ? "Why" : null].filter(Boolean);
}

function telling(line, lines) {
  const heads = told(lines);
  return [heads.includes("Figures") ? el("td", { class: "why small soft" }, features(line.features)) : null, heads.includes("Why") ? el("td", { class: "why" }, codes(line.reasons, 3)) : null];
}

function ranking(list, name) {
  if (!list.lines.length) return [empty("Not ranked yet", "Each cycle ranks the candidates; those dropped say why."), unknowns(list.unknown)];
  return [el("p", { class: "soft small" }, "Ranked ", since(list.at_ms, " ago")), table(name, ["Place", "Symbol", "Score", ...told(list.lines)], [0, 2], list.lines.map((line) => el("tr", {},
    el("td", { class: "n" }, `${line.rank}`), el("td", { class: "keep" }, el("b", {}, line.symbol), line.dropped ? [" ", badge("", "✕", "dropped")] : null),
    el("td", { class: "n" }, ratio(line.score_x10000)), telling(line, list.lines))), "plain"), unknowns(list.unknown)];
}

function universe({ selection: { universe: u } }) {
  if (u.symbols === null) return [empty("Not scanned yet", "All symbols of the exchange are examined first."), unknowns(u.unknown)];
  const most = Object.entries(u.excluded_by).sort((a, b) => b[1] - a[1]).slice(0, 8);
  return [el("div", { class: "numbers" }, pair("Symbols", count(u.symbols)), pair("Eligible", count(u.eligible)), pair("Scanned", since(u.at_ms, " ago"))),
    most.length ? table("Why symbols were left out", ["Left out because", "Symbols"], [1], most.map(([code, many]) => el("tr", {}, el("td", {}, words(code)), el("td", { class: "n" }, count(many)))), "plain") : null, unknowns(u.unknown)];
}

function correlation({ selection: { correlation: c } }) {
  if (c.symbols.length < 2) return [empty("Nothing to compare yet", "With two watched symbols their correlation is shown here."), unknowns(c.unknown)];
  return [el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Correlation of returns", "data-scroll": "correlation", "data-key": "correlation" },
    el("table", { class: "matrix" }, el("thead", {}, el("tr", {}, el("td", {}), c.symbols.map((name) => el("th", { scope: "col", class: "n" }, name)))),
      el("tbody", {}, c.rows.map((row, i) => el("tr", {}, el("th", { scope: "row" }, c.symbols[i]), row.map((r, j) => cell(r, i === j, c.limit_x10000))))))),
  el("p", { class: "soft small" }, `From five-minute returns: 1 moves together, 0 is unrelated, −1 is opposite. ${c.limit_x10000 === null ? "" : `Above ${ratio(c.limit_x10000)} (marked !) two count as one risk. `}`, c.at_ms ? ["Computed ", since(c.at_ms, " ago"), "."] : null), unknowns(c.unknown)];
}

function cell(r, self, limit) {
  if (self) return el("td", { class: "self" }, "·");
  if (r === null) return el("td", { class: "c0 soft" }, "—");
  const strength = Math.abs(r);
  const over = limit !== null && r > limit;
  return el("td", { class: over ? "c3" : strength >= 7000 ? "c2" : strength >= 4000 ? "c1" : "c0" }, ratio(r), over ? " !" : "");
}
