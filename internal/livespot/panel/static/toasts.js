// Alerts that stay until acknowledged. What was acknowledged is remembered in this browser only, per run.

import { el, since } from "/static/dom.js";
import { severity } from "/static/parts.js";

const ACK = "livespot.acknowledged";
const RECENT_MS = 60_000;
const SHOWN = 3;
let latest = null;
const pushed = new Map();

// Null before the first time; a fresh browser is not shouted at with old warnings.
function acknowledged(run) {
  const kept = JSON.parse(localStorage.getItem(ACK) || "{}");
  return kept.run === run ? new Set(kept.ids) : null;
}

function acknowledge(ids) {
  const run = latest.header.run_id;
  const all = [...(acknowledged(run) || []), ...ids].slice(-200);
  localStorage.setItem(ACK, JSON.stringify({ run, ids: all }));
  draw();
}

export function snapshotAlerts(snapshot) {
  if (latest && latest.header.run_id !== snapshot.header.run_id) pushed.clear();
  latest = snapshot;
  draw();
}

export function pushedAlert(alert) {
  pushed.set(alert.id, alert);
  if (pushed.size > 100) pushed.delete(pushed.keys().next().value);
  draw();
}

function draw() {
  if (!latest) return;
  const seen = acknowledged(latest.header.run_id);
  const all = new Map([...pushed.values(), ...latest.alerts.latest].map((item) => [item.id, item]));
  const fresh = [...all.values()]
    .filter((item) => item.severity === "CRIT" || (item.severity === "WARN" && (seen || item.at_ms > latest.now_ms - RECENT_MS)))
    .filter((item) => !seen?.has(item.id)).sort((a, b) => b.id - a.id);
  const box = document.getElementById("toasts");
  const key = fresh.map((item) => item.id).join();
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  const shown = fresh.slice(0, SHOWN).map((item) => el("div", { class: `toast ${item.severity}` },
    el("div", { class: "row" }, el("span", {}, severity(item.severity), " ", el("span", { class: "soft small" }, since(item.at_ms, " ago"))), button("Acknowledge", [item.id], `Acknowledge alert ${item.id}`)),
    el("p", {}, item.symbol ? el("b", {}, `${item.symbol} `) : null, item.text || item.code.meaning), el("div", { class: "soft" }, item.code.action)));
  if (fresh.length > 1) shown.push(el("div", { class: "more" }, button(`Acknowledge all ${fresh.length}`, fresh.map((item) => item.id))));
  box.replaceChildren(...shown);
}

function button(label, ids, name = label) {
  const node = el("button", { type: "button", class: "plain", "aria-label": name }, label);
  node.addEventListener("click", () => acknowledge(ids));
  return node;
}
