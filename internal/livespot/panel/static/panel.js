// Receives snapshots, redraws the cards that changed, and says at once when nothing arrives.

import * as cards from "/static/cards.js";
import { age, badge, el, refreshAges } from "/static/dom.js";

const CARDS = {
  hero: ["process", "header", "next"], today: ["pnl"], positions: ["positions"], decisions: ["decisions", "watchlist"],
  health: ["health"], execution: ["execution"], alerts: ["alerts"], orders: ["orders", "fills"], stages: ["stages"],
};
const AGES = new Set(["age_ms", "silent_ms"]);
const ACK = "livespot.acknowledged";
const drawn = {};
let arrived = 0;
const loaded = performance.now();
let refresh = 1000;
let latest = null;
let stream = null;
let retryAt = 0;

function connect() {
  if (stream) stream.close();
  stream = new EventSource("/api/stream");
  stream.addEventListener("snapshot", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("alert", (event) => toast([JSON.parse(event.data)]));
}

function show(snapshot) {
  arrived = performance.now();
  refresh = snapshot.refresh_ms;
  latest = snapshot;
  for (const [name, parts] of Object.entries(CARDS)) draw(name, parts, snapshot);
  refreshAges(snapshot.now_ms);
  const header = snapshot.header;
  const state = snapshot.process.state === "RUNNING" ? header.sysmode : snapshot.process.state;
  document.title = `${state} · livespot`;
  text("clock", `${new Date(snapshot.now_ms).toISOString().slice(0, 19).replace("T", " ")} UTC`);
  text("account", header.account_label);
  text("foot", header.version ? `version ${header.version}` : "");
  toast(snapshot.alerts.latest);
  link();
}

function draw(name, parts, snapshot) {
  // Ages change every second and are refreshed in place; only facts redraw a card.
  const key = JSON.stringify(parts.map((part) => snapshot[part]), (field, value) => (AGES.has(field) ? 0 : value));
  if (drawn[name] === key) return;
  drawn[name] = key;
  const card = document.getElementById(name);
  const body = card.querySelector(":scope > .body") || card;
  const scrolled = body.querySelector(".list, .stages")?.scrollTop || 0;
  body.replaceChildren(...cards[name](snapshot).flat(9).filter(Boolean));
  const list = body.querySelector(".list, .stages");
  if (list && scrolled) list.scrollTop = scrolled;
}

function text(id, value) {
  const node = document.getElementById(id);
  if (node.textContent !== value) node.textContent = value;
}

function link() {
  const now = performance.now();
  const quiet = now - (arrived || loaded);
  const lost = quiet > Math.max(2500, 2.5 * refresh);
  document.getElementById("link").dataset.state = lost ? "lost" : arrived ? "live" : "wait";
  text("link-text", lost ? "connection lost" : arrived ? "live" : "connecting");
  document.body.classList.toggle("stale", lost);
  const banner = document.getElementById("lost");
  banner.hidden = !lost;
  if (lost) {
    banner.textContent = `Connection lost. ${arrived ? `What you see is ${age(Math.round(quiet))} old.` : "Nothing has arrived yet."} Trying again.`;
    document.title = "CONNECTION LOST · livespot";
    if (now > retryAt && (!stream || stream.readyState === EventSource.CLOSED)) { retryAt = now + 2000; connect(); }
  }
}

// What was acknowledged is remembered in this browser only, per run; null before the first time.
function acknowledged(run) {
  const kept = JSON.parse(localStorage.getItem(ACK) || "{}");
  return kept.run === run ? new Set(kept.ids) : null;
}

function acknowledge(ids) {
  const run = latest.header.run_id;
  const all = [...(acknowledged(run) || []), ...ids].slice(-200);
  localStorage.setItem(ACK, JSON.stringify({ run, ids: all }));
  toast([]);
}

function toast(alerts) {
  if (!latest) return;
  const seen = acknowledged(latest.header.run_id);
  const recent = (item) => seen !== null || item.at_ms > latest.now_ms - 60000;
  const loud = alerts.concat(latest.alerts.latest).filter((item) => item.severity === "CRIT" || (item.severity === "WARN" && recent(item)));
  const fresh = [...new Map(loud.map((item) => [item.id, item])).values()].filter((item) => !seen?.has(item.id)).sort((a, b) => b.id - a.id);
  const key = fresh.map((item) => item.id).join();
  const box = document.getElementById("toasts");
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  const shown = fresh.slice(0, 3).map((item) => el("div", { class: `toast ${item.severity}` },
    el("div", { class: "row" }, badge(item.severity === "CRIT" ? "bad" : "warn", item.severity === "CRIT" ? "‼" : "!", item.severity === "CRIT" ? "Critical" : "Warning"), button("Acknowledge", [item.id])),
    el("p", {}, item.text || item.code.meaning), el("div", { class: "soft" }, item.code.action)));
  if (fresh.length > 1) shown.push(el("div", { class: "more" }, button(`Acknowledge all ${fresh.length}`, fresh.map((item) => item.id))));
  box.replaceChildren(...shown);
}

function button(label, ids) {
  const node = el("button", { type: "button" }, label);
  node.addEventListener("click", () => acknowledge(ids));
  return node;
}

connect();
setInterval(link, 500);
