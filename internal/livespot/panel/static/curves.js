// Equity and, on the same time below it, how far it is under its highest point.

import { el, svg } from "/static/dom.js";
import { amount, signed, utc } from "/static/format.js";

const [UPPER, GAP, LOWER, RIGHT] = [170, 22, 76, 84];

export function curves(curve, W) {
  const equity = curve.equity_quote.map(Number);
  const under = curve.drawdown_quote.map(Number);
  const [first, last] = [curve.at_ms[0], curve.at_ms[curve.at_ms.length - 1]];
  const x = (at) => ((W - RIGHT) * (at - first)) / (last - first || 1);
  const [low, high] = [Math.min(0, ...equity), Math.max(0, ...equity)];
  const y = (value) => UPPER - 8 - ((UPPER - 22) * (value - low)) / (high - low || 1);
  const deepest = Math.max(...under);
  const base = UPPER + GAP;
  const down = (value) => base + (LOWER * value) / (deepest || 1);
  // A result stays what it was until the next trade closes, hence steps.
  const top = steps(curve.at_ms.map(x), equity.map(y));
  const below = steps(curve.at_ms.map(x), under.map(down));
  const end = x(last);
  return el("figure", { class: "figure" }, svg("svg", { class: "chart", viewBox: `0 0 ${W} ${base + LOWER + 24}`, role: "img", "aria-label": described(curve, deepest) },
    svg("line", { class: "zero", x1: 0, x2: W - RIGHT, y1: y(0), y2: y(0) }),
    svg("path", { class: "area", d: `${top}L${end} ${y(0)}L0 ${y(0)}Z` }), svg("path", { class: "line", d: top }),
    svg("text", { x: W - RIGHT + 8, y: y(equity[equity.length - 1]) + 4, class: "strong" }, signed(curve.equity_quote[equity.length - 1], 2)),
    Math.abs(y(0) - y(equity[equity.length - 1])) > 16 ? svg("text", { x: W - RIGHT + 8, y: y(0) + 4 }, "0") : null,
    svg("line", { class: "grid", x1: 0, x2: W - RIGHT, y1: base, y2: base }),
    svg("path", { class: "under-area", d: `${below}L${end} ${base}L0 ${base}Z` }), svg("path", { class: "under", d: below }),
    svg("text", { x: W - RIGHT + 8, y: base + 4 }, "drawdown"),
    deepest > 0 ? svg("text", { x: W - RIGHT + 8, y: base + LOWER + 4 }, `−${amount(`${deepest}`, 2)}`) : null,
    svg("text", { x: 0, y: base + LOWER + 20 }, utc(first, false)), svg("text", { x: W - RIGHT, y: base + LOWER + 20, "text-anchor": "end" }, utc(last, false))));
}

function steps(xs, ys) {
  return ys.map((height, i) => (i ? `H${xs[i].toFixed(1)}V${height.toFixed(1)}` : `M${xs[0].toFixed(1)} ${height.toFixed(1)}`)).join("");
}

function described(curve, deepest) {
  return `Result of all trading after fees: now ${curve.equity_quote[curve.equity_quote.length - 1]}, over ${curve.at_ms.length} points since ${utc(curve.at_ms[0])}. Deepest drawdown ${deepest.toFixed(2)}, now ${curve.drawdown_quote[curve.drawdown_quote.length - 1]}.`;
}
