// The price of one symbol with own trades and levels drawn in.

import { el, svg } from "/static/dom.js";
import { amount, clock } from "/static/format.js";

const [LEFT, TOP, BOTTOM] = [6, 14, 26];
// The room on the right in which levels in force are still to be met.
const AHEAD_MS = 240_000;
const KINDS = { STOP: ["stop", "stop"], TRAIL: ["trail-from", "trail begins"], TARGET: ["target", "target"], ENTRY: ["entry-line", "entry"] };

export function priceChart(symbol, chart, W) {
  const H = W < 600 ? 240 : 320;
  const RIGHT = W < 600 ? 96 : 148;
  const times = chart.at_ms;
  const [first, last] = [times[0], Math.max(times[times.length - 1], ...chart.trades.map((trade) => trade.at_ms), ...chart.levels.map((level) => level.from_ms)) + AHEAD_MS];
  const levels = chart.levels.filter((level) => level.to_ms === null || level.to_ms >= first);
  const trades = chart.trades.filter((trade) => trade.at_ms >= first);
  const prices = [...chart.high, ...chart.low, ...levels.map((level) => level.price), ...trades.map((trade) => trade.price)].map(Number);
  const [x, y] = [scale(first, last, LEFT, W - RIGHT), padded(prices, H)];
  const close = chart.close.map((price, i) => `${x(times[i]).toFixed(1)} ${y(Number(price)).toFixed(1)}`);
  return el("figure", { class: "figure" },
    svg("svg", { class: "chart", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": described(symbol, chart, levels, trades) },
      grid(y, prices, W - RIGHT), hours(x, first, last, H - 8),
      chart.high.map((high, i) => svg("line", { class: "wick", x1: x(times[i]), x2: x(times[i]), y1: y(Number(high)), y2: y(Number(chart.low[i])) })),
      close.length > 1 ? svg("path", { class: "line", d: `M${close.join("L")}` }) : null,
      levels.map((level) => levelLine(level, x, y, first, last)), risers(levels, x, y, first), levels.map((level) => trailed(level, chart, x, y)),
      trades.map((trade) => marker(trade, x, y)),
      labels(chart, levels, y, W - RIGHT + 8)),
    legend());
}

function scale(low, high, from, to) {
  const factor = (to - from) / (high - low || 1);
  return (value) => from + (value - low) * factor;
}

function padded(prices, H) {
  const low = Math.min(...prices);
  const high = Math.max(...prices);
  const room = (high - low || high * 0.001 || 1) * 0.06;
  return scale(low - room, high + room, H - BOTTOM, TOP);
}

function grid(y, prices, right) {
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  return [0, 1, 2, 3, 4].map((i) => low + ((high - low) * i) / 4).map((price) => svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(price), y2: y(price) }))
    .concat([low, high].map((price) => svg("text", { x: LEFT, y: y(price) - 4 }, amount(price.toPrecision(7), 8))));
}

function hours(x, first, last, y) {
  return [0, 1, 2, 3, 4].map((i) => first + ((last - first) * i) / 4).map((at, i) =>
    svg("text", { x: x(at), y, "text-anchor": i === 0 ? "start" : i === 4 ? "end" : "middle" }, clock(at).slice(0, 5)));
}

function levelLine(level, x, y, first, last) {
  const kind = (KINDS[level.kind] || ["entry-line"])[0];
  const height = y(Number(level.price)).toFixed(1);
  return svg("path", { class: kind, d: `M${x(Math.max(first, level.from_ms)).toFixed(1)} ${height}H${x(level.to_ms === null ? last : Math.min(last, level.to_ms)).toFixed(1)}` });
}

// Where one stop takes over from another, a riser joins them: a trailing stop is a staircase.
function risers(levels, x, y, first) {
  const stops = levels.filter((level) => level.kind === "STOP").sort((a, b) => a.from_ms - b.from_ms);
  return stops.slice(1).map((level, i) => (stops[i].to_ms === level.from_ms && level.from_ms >= first
    ? svg("path", { class: "stop", d: `M${x(level.from_ms).toFixed(1)} ${y(Number(stops[i].price)).toFixed(1)}V${y(Number(level.price)).toFixed(1)}` }) : null));
}

// The exchange moves a trailing stop itself; its course follows from the highs since the trail began.
function trailed(level, chart, x, y) {
  if (level.kind !== "TRAIL" || !level.trailing_bps) return null;
  let best = 0;
  const steps = [];
  chart.at_ms.forEach((at, i) => {
    if (at < level.from_ms || (level.to_ms !== null && at > level.to_ms)) return;
    best = Math.max(best, Number(chart.high[i]));
    if (best >= Number(level.price)) steps.push(`${steps.length ? "H" : "M"}${x(at).toFixed(1)}${steps.length ? "V" : " "}${y(best * (1 - level.trailing_bps / 10_000)).toFixed(1)}`);
  });
  return steps.length ? svg("path", { class: "stop trail", d: `${steps.join("")}h6` }) : null;
}

// A purchase points up from below its price, a sale down from above it: shape and place say it, colour only repeats it.
function marker(trade, x, y) {
  const [at, price] = [x(trade.at_ms), y(Number(trade.price))];
  const up = trade.side === "BUY";
  const tip = up ? price + 3 : price - 3;
  const foot = up ? tip + 13 : tip - 13;
  return svg("path", { class: up ? "buy" : "sell", d: `M${at.toFixed(1)} ${tip.toFixed(1)}L${(at - 7).toFixed(1)} ${foot.toFixed(1)}H${(at + 7).toFixed(1)}Z` },
    svg("title", {}, `${up ? "Bought" : "Sold"} ${amount(trade.qty, 8)} at ${amount(trade.price, 8)}, ${clock(trade.at_ms)}`));
}

// The last price and the levels in force at the right edge, moved apart where they would overlap.
function labels(chart, levels, y, x) {
  const wanted = levels.filter((level) => level.to_ms === null).map((level) => [Number(level.price), `${(KINDS[level.kind] || ["", level.kind])[1]} ${amount(level.price, 8)}`, null]);
  const last = chart.close[chart.close.length - 1];
  wanted.push([Number(last), `now ${amount(last, 8)}`, "strong"]);
  wanted.sort((a, b) => b[0] - a[0]);
  let above = -Infinity;
  return wanted.map(([price, words, kind]) => {
    above = Math.max(y(price) + 4, above + 14);
    return svg("text", { x, y: above.toFixed(1), class: kind }, words);
  });
}

function legend() {
  const key = (kind, d) => svg("svg", { class: "chart", viewBox: "0 0 24 12", "aria-hidden": "true" }, svg("path", { class: kind, d }));
  return el("figcaption", { class: "legend" },
    el("span", {}, key("line", "M0 8L8 4L16 7L24 3"), "close, with high and low"), el("span", {}, key("buy", "M12 0L6 11H18Z"), "bought"), el("span", {}, key("sell", "M12 12L6 1H18Z"), "sold"),
    el("span", {}, key("stop", "M0 6H24"), "stop, as it moves"), el("span", {}, key("target", "M0 6H24"), "target"), el("span", {}, key("trail-from", "M0 6H24"), "where trailing begins"));
}

function described(symbol, chart, levels, trades) {
  const inForce = levels.filter((level) => level.to_ms === null).map((level) => `${(KINDS[level.kind] || ["", level.kind])[1]} ${level.price}`);
  return `Price of ${symbol}: ${chart.close.length} minutes, last ${chart.close[chart.close.length - 1]}. ${trades.length} own trades. ${inForce.length ? `In force: ${inForce.join(", ")}.` : "No level in force."}`;
}
