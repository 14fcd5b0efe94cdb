// Market and signals: price with own trades drawn in, readings, decisions and why.

import { priceChart } from "/static/chart.js";
import { drawingWidth, el, freshness, since } from "/static/dom.js";
import { bps, count, ratio, share, words } from "/static/format.js";
import { badge, codes, empty, opener, table, unknowns } from "/static/parts.js";

const CANDLE_STALE_MS = 180_000;
const READING_STALE_MS = 120_000;
let picked = "";

export const parts = [
  { id: "price", title: "Price", of: ["market"], build: price },
  { id: "readings", title: "Readings", of: ["market"], build: readings },
  { id: "decided", title: "Last decisions", of: ["decisions"], build: decisions },
];

function price({ market }) {
  const drawn = market.symbols.filter((symbol) => symbol.chart.at_ms.length > 1);
  if (!drawn.length) return [empty("No candles yet", "The price of watched and held symbols is drawn here, with entries, exits and stops."), unknowns(market.unknown)];
  // Until somebody chooses, what is held comes first: that is where money is.
  const one = drawn.find((symbol) => symbol.symbol === picked) || drawn.find((symbol) => symbol.held) || drawn[0];
  const buttons = drawn.map((symbol) => {
    const button = el("button", { type: "button", class: "plain", "aria-pressed": `${symbol === one}`, "data-key": `pick ${symbol.symbol}` }, symbol.symbol, symbol.held ? " ● held" : "");
    button.addEventListener("click", () => {
      picked = symbol.symbol;
      document.dispatchEvent(new CustomEvent("livespot:redraw", { detail: "price" }));
    });
    return button;
  });
  const at = one.chart.at_ms;
  return [el("div", { class: "stack-gap" },
    el("div", { class: "pickers", role: "group", "aria-label": "Symbol of the chart" }, buttons),
    el("div", {}, freshness(el("div", {}, priceChart(one.symbol, one.chart, drawingWidth())), at[at.length - 1] + 60_000, CANDLE_STALE_MS)), unknowns(one.chart.unknown))];
}

function readings({ market }) {
  if (!market.symbols.length) return [empty("Nothing is watched yet", "The first selection fills this table."), unknowns(market.unknown)];
  return [table("Readings of watched symbols", ["Symbol", "Regime", "Trend / range", "Spread now", "p50 / p90", "Δ p90", "Imbalance", "ATR 14", "Volume", "Costs", "Margin", "Read", "Why"], [2, 3, 4, 5, 6, 7, 8, 9, 10], market.symbols.map(reading), "plain"),
    unknowns(market.unknown)];
}

function reading(s) {
  const row = el("tr", {},
    el("td", { class: "keep" }, opener("decision", s.decision_id, s.symbol), s.held ? [" ", badge("good", "●", "held")] : null),
    el("td", { class: "keep" }, words(s.regime), s.direction ? el("span", { class: "soft" }, ` ${words(s.direction)}`) : null),
    el("td", { class: "n" }, `${ratio(s.trend_score_x10000)} / ${ratio(s.range_score_x10000)}`),
    el("td", { class: "n" }, bps(s.spread_bps)), el("td", { class: "n" }, `${signedCount(s.spread_p50_bps)} / ${signedCount(s.spread_p90_bps)}`), el("td", { class: "n" }, signedCount(s.delta_spread_p90_bps)),
    el("td", { class: "n" }, ratio(s.imbalance_x10000)), el("td", { class: "n" }, bps(s.atr14_5m_bps)), el("td", { class: "n" }, s.volume_ratio_x10000 === null ? "—" : `${ratio(s.volume_ratio_x10000)}×`),
    el("td", { class: "n" }, bps(s.cost_bps)), el("td", { class: "n" }, bps(s.edge_bps)),
    el("td", { class: "keep soft" }, since(s.read_at_ms)),
    el("td", { class: "why" }, s.reasons.length ? codes(s.reasons, 3) : el("span", { class: "soft" }, s.outcome ? "nothing" : "not judged yet")));
  if (s.read_at_ms) { row.dataset.oldAt = s.read_at_ms; row.dataset.oldFor = READING_STALE_MS; }
  return row;
}

function signedCount(value) {
  return value === null ? "—" : `${value}`.replace("-", "−");
}

function decisions({ decisions: all }) {
  if (!all.length) return [empty("No decision yet", "The first candles are being read. Most decisions say no, and each says why.")];
  return [table("Last decision of each symbol", ["Symbol", "Decision", "Reward margin", "Age", "Why"], [2], all.map((item) => el("tr", {},
    el("td", { class: "keep" }, opener("decision", item.decision_id, item.symbol), " ", el("span", { class: "soft" }, words(item.regime))),
    el("td", { class: "keep" }, fate(item)),
    el("td", { class: "n" }, item.outcome !== "PROPOSED" && item.edge_bps_expected === 0 ? "—" : bps(item.edge_bps_expected)),
    el("td", { class: "keep soft" }, since(item.at_ms)),
    el("td", { class: "why" }, codes(why(item)), item.edge ? el("div", { class: "soft small" }, odds(item.edge)) : null))))];
}

// What share of trades must reach the target, and what closed trades have shown; it decides nothing.
function odds({ breakeven_hit_x10000: need, trades, measured }) {
  const needed = `Breaks even at a hit rate of ${share(need)}`;
  if (!measured) return `${needed}; hit rate unmeasured (${trades} trades)`;
  return `${needed}; hit rate ${share(measured.hit_rate_x10000)} (${share(measured.low_x10000)} to ${share(measured.high_x10000)}), expectancy ${count(Math.abs(measured.expectancy_bps))} bps ${measured.expectancy_bps < 0 ? "lost" : "gained"}`;
}

export function fate(item) {
  if (item.outcome !== "PROPOSED") return badge("", "·", "blocked");
  if (item.risk === "ALLOW") return badge("good", "✓", "approved");
  if (item.risk === "BLOCK") return badge("warn", "✕", "risk said no");
  if (item.gate === "ERROR") return badge("warn", "✕", "gate failed");
  if (item.gate === "BLOCK") return badge("warn", "✕", "gate said no");
  return badge("", "▸", "proposed");
}

function why(item) {
  if (item.risk === "BLOCK") return item.risk_reasons;
  if (item.gate === "BLOCK" || item.gate === "ERROR") return item.gate_reasons;
  return item.reasons;
}
