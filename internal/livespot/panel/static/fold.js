// The top of the first fold: which mode, since when, why, what is done already, what to do; and what is at stake.

import { el, since, svg } from "/static/dom.js";
import { amount, number, ratio, signed, tone, words } from "/static/format.js";
import { badge, bar, copyable, fact, opener, pair } from "/static/parts.js";

const SHAPES = {
  NORMAL: ["circle", { cx: 32, cy: 32, r: 27 }, "M20 33l9 9 16-19"],
  DEGRADE: ["path", { d: "M32 4L60 32L32 60L4 32Z" }, "M32 20v15M32 43v.5"],
  PAUSE: ["rect", { x: 6, y: 6, width: 52, height: 52, rx: 6 }, "M25 21v22M39 21v22"],
  EXIT: ["path", { d: "M32 5L61 57H3Z" }, "M32 25v15M32 48v.5"],
};
const MEANINGS = {
  NORMAL: "Entries are allowed.",
  DEGRADE: "New entries are off; positions are managed and protected.",
  PAUSE: "Only risk-reducing actions until you resume.",
  EXIT: "The process is shutting down.",
};
// Where no order is ever sent, no mode may say that entries are allowed.
const WATCHING = { ...MEANINGS, NORMAL: "Proposals are judged and recorded; nothing is sent.", DEGRADE: "Proposals wait until the reasons below are over; nothing is sent." };
const STANDING = { CRASHED: "Process died", DOWN: "Not running", NEVER_RAN: "Not run yet", UNKNOWN: "Unknown" };

const RIGHTS = { SHADOW: "SHADOW: watches only, sends no order" };

export function hero({ process, header, next }) {
  const known = process.state !== "NEVER_RAN";
  const alive = process.state === "RUNNING";
  return [
    el("div", { class: `state ${alive ? header.sysmode : process.state}` },
      emblem(alive ? SHAPES[header.sysmode] : null),
      el("div", {},
        el("div", { class: "word" }, alive ? header.sysmode : STANDING[process.state] || process.state),
        el("div", { class: "sub" }, alive ? [(header.mode === "SHADOW" ? WATCHING : MEANINGS)[header.sysmode] || "", " For ", since(header.since_ms), "."] : process.note)),
      known ? el("div", { class: "chips" },
        el("span", { class: "chip" }, el("b", {}, RIGHTS[header.mode] || header.mode)),
        header.stage ? el("span", { class: "chip" }, el("span", { class: "soft" }, "stage "), words(header.stage)) : null,
        el("span", { class: "chip" }, el("span", { class: "soft" }, "up "), since(header.started_ms))) : null),
    el("div", { class: `next ${next.urgency}` },
      el("div", { class: "label" }, next.urgency === "NOW" ? "Do this now" : "What to do"),
      el("div", { class: "what" }, next.action), el("div", { class: "soft" }, next.why)),
    header.reasons.length ? el("ul", { class: "reasons", "aria-label": "Active reasons" }, header.reasons.map(reason)) : null,
    known ? el("dl", { class: "facts" },
      fact("Run", copyable(header.run_id)), fact("Cycle", copyable(header.cycle_id)),
      fact("Decision", [copyable(header.decision_id), header.decision_id ? [opener("decision", header.decision_id, "trace", "Latest decision")] : null])) : null,
  ];
}

function emblem(shape) {
  return svg("svg", { viewBox: "0 0 64 64", "aria-hidden": "true" },
    shape ? svg(shape[0], shape[1]) : svg("circle", { cx: 32, cy: 32, r: 27, "stroke-dasharray": "7 8" }),
    shape ? svg("path", { d: shape[2], fill: "none", "stroke-width": 5 }) : null);
}

function reason(item) {
  const measured = item.unit === "x10000" ? `${ratio(item.value)}, limit ${ratio(item.threshold)}` : item.unit ? `${number(item.value)} ${item.unit}, limit ${number(item.threshold)}` : "";
  return el("li", {},
    el("div", { class: "row" }, el("span", { class: "meaning" }, item.detail || item.meaning || item.code),
      el("span", { class: "soft small" }, "for ", since(item.since_ms), item.count > 1 ? `, ${item.count} times` : "")),
    el("div", { class: "small" }, el("span", { class: "code mono" }, item.code), el("span", { class: "soft num" }, measured ? ` · ${measured}` : "", item.source ? ` · ${item.source}` : "")),
    item.by_itself ? line("Done", item.by_itself) : null,
    line("To do", item.action || "No entry in the catalogue; read the audit trail.", "accent"));
}

function line(name, text, kind = null) {
  return el("div", { class: "pair" }, el("span", {}, name), el("span", { class: kind }, text));
}

export function standing({ positions, pnl, orders, exposures }) {
  const limit = Math.abs(Number(pnl.max_daily_loss_quote || 0));
  const used = limit ? (100 * Math.max(0, -Number(pnl.realised_quote))) / limit : 0;
  return [el("div", { class: "standing" },
    el("div", {}, el("div", { class: "k" }, positions.length === 1 ? "Open position" : "Open positions"),
      positions.length ? positions.map(held) : el("div", { class: "v" }, "none")),
    pair("Realised today", el("span", { class: tone(pnl.realised_quote) }, signed(pnl.realised_quote)), `${pnl.closed} closed, ${pnl.won} won`),
    pair("Unrealised", el("span", { class: tone(pnl.unrealised_quote) }, signed(pnl.unrealised_quote)), pnl.fee_unpriced ? "some fee has no price" : `fees ${amount(pnl.fees_quote)}`),
    limit
      ? el("div", {}, el("div", { class: "k" }, "Loss limit of the day"), el("div", { class: "v num" }, `${used.toFixed(0)} % used`), bar(used, "Loss limit of the day used"), el("div", { class: "small soft" }, `of ${amount(pnl.max_daily_loss_quote)}`))
      : pair("Loss limit of the day", "—"),
    pair("Open orders", `${orders.length}`),
    exposures.length ? pair("Your own positions", exposures.map((own) => `${own.symbol} ${own.side} ${amount(own.qty, 8)}`).join(", "), "no entries in these symbols") : null)];
}

function held(line) {
  const moving = line.phase === "OPENING" || line.phase === "CLOSING";
  const guard = line.protected
    ? badge("good", "▣", "protected on the exchange")
    : badge(moving ? "warn" : "bad", "▢", moving ? "not protected yet" : "NOT PROTECTED");
  return el("div", { class: "held" },
    el("span", { class: "sym" }, opener("decision", line.decision_id, line.symbol, line.symbol)), guard,
    line.protected || !line.unprotected_since_ms ? null : el("b", { class: "loss" }, "for ", since(line.unprotected_since_ms)),
    el("span", { class: "num" }, amount(line.qty, 8)),
    el("span", { class: "soft small num" }, Number(line.sl_price) ? `${line.protected ? "stop" : "meant to have its stop at"} ${amount(line.sl_price, 8)}` : "no stop", line.mark_price ? `, now ${amount(line.mark_price, 8)}` : ""),
    el("span", { class: `num ${tone(line.unrealised_quote) || ""}` }, signed(line.unrealised_quote)));
}
