// Puts the page together: every snapshot redraws the cards whose facts changed.

import * as cards from "/static/cards.js";
import { el, refreshAges, replace, text } from "/static/dom.js";
import { listen } from "/static/drawer.js";
import { hero, standing } from "/static/fold.js";
import { utc } from "/static/format.js";
import * as link from "/static/link.js";
import { panes } from "/static/panes.js";
import { tabs } from "/static/tabs.js";
import { pushedAlert, snapshotAlerts } from "/static/toasts.js";

const CARDS = {
  hero: [["process", "header", "next"], hero],
  alerts: [["alerts"], (snapshot) => cards.alerts(snapshot, document.getElementById("alert-filter").value)],
  standing: [["positions", "pnl", "orders", "exposures"], standing],
  execution: [["execution"], cards.execution],
  stages: [["stages"], cards.stages],
  health: [["health"], cards.health],
};
const AGES = new Set(["age_ms", "silent_ms"]);
const drawn = new Map();
let latest = null;
let chosen = "";

function show(snapshot) {
  if (latest && latest.schema_version !== snapshot.schema_version) location.reload();
  latest = snapshot;
  for (const [name, [parts, build]] of Object.entries(CARDS)) draw(name, parts, build);
  drawPane();
  refreshAges(snapshot.now_ms);
  const header = snapshot.header;
  const state = snapshot.process.state === "RUNNING" ? header.sysmode : snapshot.process.state;
  document.title = `${state} · livespot`;
  text("clock", `${utc(snapshot.now_ms)} UTC`);
  text("account", header.account_label);
  text("foot", header.version ? `version ${header.version}` : "");
  text("spoken", `Mode ${state}`);
  snapshotAlerts(snapshot);
}

// Ages change every second and are refreshed in place; only facts redraw a card.
function draw(name, parts, build, body = document.querySelector(`#${name} > .body`)) {
  const key = JSON.stringify(parts.map((part) => latest[part]), (field, value) => (AGES.has(field) ? 0 : value));
  if (drawn.get(name) === key) return;
  drawn.set(name, key);
  let nodes;
  try {
    nodes = build(latest);
  } catch (error) {
    console.error(error);
    nodes = [el("p", { class: "loss" }, `This part cannot be shown: ${error.message}`)];
  }
  replace(body, nodes);
}

function drawPane() {
  if (!latest || !chosen) return;
  for (const part of panes[chosen]) draw(part.id, part.of, part.build, part.body());
}

function redraw(name) {
  drawn.delete(name);
  if (!latest) return;
  if (CARDS[name]) draw(name, ...CARDS[name]);
  else drawPane();
  refreshAges(latest.now_ms);
}

tabs((name) => { chosen = name; drawPane(); if (latest) refreshAges(latest.now_ms); });
document.getElementById("alert-filter").addEventListener("change", () => redraw("alerts"));
document.addEventListener("livespot:redraw", (event) => redraw(event.detail));
// Followed by hand: the address may hold a token behind its #, which a jump would overwrite.
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("main").focus(); });
let resized = 0;
window.addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { redraw("price"); redraw("equity"); }, 150); });
listen(() => latest?.now_ms ?? 0);
link.open(show, pushedAlert);
