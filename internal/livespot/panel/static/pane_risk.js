// Risk and limits: how much of each limit is used, the money, the curves, what is held back.

import { curves } from "/static/curves.js";
import { drawingWidth, el, since } from "/static/dom.js";
import { age, amount, number, signed, tone, words } from "/static/format.js";
import { badge, bar, codes, copyable, empty, fact, pair, table, unknowns } from "/static/parts.js";

const HOLDS = { COOLDOWN: "cool-down", STREAK: "losing streak", CHURN: "too many mutations", QUARANTINE: "quarantine" };

export const parts = [
  { id: "limits", title: "Limits", size: "two", of: ["risk"], build: limits },
  { id: "money", title: "Money", size: "third", of: ["risk", "pnl"], build: money },
  { id: "equity", title: "Equity and drawdown", of: ["risk"], build: equity },
  { id: "holds", title: "Held back", size: "half", of: ["risk"], build: holds },
  { id: "own", title: "Positions of your own", size: "half", of: ["exposures"], build: own },
  { id: "fired", title: "Recent risk reasons", of: ["risk"], build: fired },
];

function limits({ risk }) {
  if (!risk.gauges.length) return [empty("Nothing to measure yet", "Every limit of the run is shown here with how much of it is used."), unknowns(risk.unknown)];
  return [table("Limits and how much of each is used", ["Limit", "Now", "Allowed", "Used"], [1, 2], risk.gauges.map((gauge) => el("tr", {},
    el("td", {}, gauge.symbol && !gauge.label.includes(gauge.symbol) ? el("b", {}, `${gauge.symbol} `) : null, gauge.label),
    el("td", { class: "n" }, gauge.value === null ? el("span", { class: "soft", title: gauge.unknown }, gauge.unknown ? `— ${gauge.unknown}` : "—") : figure(gauge.value, gauge.unit)),
    el("td", { class: "n" }, gauge.limit === null ? "—" : figure(gauge.limit, gauge.unit)),
    el("td", { class: "used" }, used(gauge))))), unknowns(risk.unknown)];
}

function figure(text, unit) {
  if (unit === "ms") return age(Number(text));
  return unit === "count" ? number(Number(text)) : `${amount(text)} ${unit}`;
}

function used(gauge) {
  if (gauge.share_x10000 === null) return el("span", { class: "soft" }, "—");
  const percent = gauge.share_x10000 / 100;
  return [el("span", { class: "num" }, `${percent.toFixed(0)} %`, percent >= 95 ? el("b", { class: "loss" }, " full") : percent >= 80 ? el("b", { class: "near" }, " near") : ""), bar(percent, gauge.label)];
}

function money({ risk, pnl }) {
  const b = risk.balance;
  const line = (name, value) => fact(name, value === null ? "—" : `${amount(value)} ${b.asset}`);
  return [el("dl", { class: "facts" },
    line("Free", b.free_quote), line("Locked in own orders", b.locked_quote), line("Reserved for decisions", b.reserved_quote),
    b.free_at_ms ? fact("Balance seen", since(b.free_at_ms, " ago")) : null,
    fact("Realised today", el("span", { class: `num ${tone(pnl.realised_quote) || ""}` }, signed(pnl.realised_quote))),
    fact("Unrealised", el("span", { class: `num ${tone(pnl.unrealised_quote) || ""}` }, signed(pnl.unrealised_quote))),
    fact("Fees today", amount(pnl.fees_quote)),
    fact("Won / lost today", `${pnl.won} / ${pnl.lost}`)), unknowns(b.unknown, pnl.unknown)];
}

function equity({ risk }) {
  const curve = risk.curve;
  if (curve.at_ms.length < 2) return [empty("No closed trade yet", "The result of all trading is drawn here, with its distance from the peak."), unknowns(curve.unknown)];
  const last = curve.at_ms.length - 1;
  return [el("div", { class: "numbers" },
    pair("Result after fees", el("span", { class: tone(curve.equity_quote[last]) }, signed(curve.equity_quote[last]))),
    pair("Below the peak", amount(curve.drawdown_quote[last])),
    pair("Points", `${curve.at_ms.length}`)), curves(curve, drawingWidth()), unknowns(curve.unknown)];
}

function holds({ risk }) {
  const streaks = risk.streaks.map((streak) => el("p", { class: "small" }, el("b", {}, streak.symbol), ` ${streak.losses_in_row} of ${streak.limit} losses in a row `,
    streak.limit > 0 && streak.losses_in_row >= streak.limit ? badge("warn", "!", "blocked") : null));
  if (!risk.holds.length) return [empty("No symbol is held back", "Cool-downs, losing streaks and quarantines are listed here until they end."), el("div", {}, streaks)];
  return [table("Symbols held back", ["Symbol", "Kind", "Left", "Cause"], [2], risk.holds.map((hold) => el("tr", {},
    el("td", {}, el("b", {}, hold.symbol)), el("td", { class: "keep" }, badge("warn", "!", HOLDS[hold.kind] || words(hold.kind))),
    el("td", { class: "n" }, age(hold.left_ms)), el("td", { class: "why" }, hold.reasons.length ? codes(hold.reasons) : hold.cause || "—")))), el("div", {}, streaks)];
}

function own({ exposures }) {
  if (!exposures.length) return [empty("None registered", "Positions of your own are listed here; livespot exposure open registers one.")];
  return [table("Positions of your own", ["Symbol", "Side", "Amount", "Open", "Note"], [2], exposures.map((line) => el("tr", {},
    el("td", {}, el("b", {}, line.symbol), " ", badge("warn", "!", "no entries")), el("td", {}, line.side.toLowerCase()), el("td", { class: "n" }, amount(line.qty, 8)),
    el("td", { class: "keep" }, since(line.opened_ms)), el("td", { class: "why" }, line.note, " ", copyable(line.exposure_id)))))];
}

function fired({ risk }) {
  if (!risk.fired.length) return [empty("No risk reason yet", "The reasons of the newest risk verdicts appear here.")];
  return [el("div", { class: "why" }, codes(risk.fired, 12))];
}
