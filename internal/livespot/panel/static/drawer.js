// The drawer: opens the trace of a decision or intent, keeps the focus inside, gives it back.

import { el, refreshAges } from "/static/dom.js";
import { utc } from "/static/format.js";
import { copyable, empty } from "/static/parts.js";
import { trace } from "/static/trace.js";
import { asked } from "/static/wire.js";

const PLURAL = { decision: "decisions", intent: "intents" };
const STOPS = 'a[href], button, input, select, summary, [tabindex="0"]';
const drawer = document.getElementById("drawer");
const veil = document.getElementById("veil");
const content = drawer.querySelector(".content");
let back = null;
let turn = 0;
let now = () => 0;

export function listen(marketNow) {
  now = marketNow;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-open]");
    if (button) open(button.dataset.open, button.dataset.id, button);
  });
  document.getElementById("drawer-close").addEventListener("click", close);
  veil.addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    if (drawer.hidden) return;
    if (event.key === "Escape") close();
    if (event.key === "Tab") wrap(event);
  });
}

async function open(kind, id, from) {
  if (drawer.hidden) back = { node: from, key: from.dataset.key };
  turn += 1;
  const mine = turn;
  show(`${kind[0].toUpperCase()}${kind.slice(1)}`, copyable(id), [el("p", { class: "soft", role: "status" }, "Reading its rows…")]);
  const nodes = await told(kind, id);
  if (mine !== turn || drawer.hidden) return;
  content.replaceChildren(...nodes.flat(9).filter(Boolean));
  refreshAges(now(), drawer);
  content.scrollTop = 0;
}

async function told(kind, id) {
  try {
    const answer = await asked(`/api/${PLURAL[kind]}/${encodeURIComponent(id)}`);
    if (answer.status === 404) return [empty("No record of it", "The database holds no row of this id. It may have been pruned, or not been written yet.")];
    if (!answer.ok) return [empty("It could not be read", `The process answered ${answer.status}. Close this and try again in a moment.`)];
    const view = await answer.json();
    show(`${view.symbol} ${kind}`, [el("div", {}, copyable(view.id)), el("div", {}, `${utc(view.at_ms)} UTC`)], []);
    return trace(view);
  } catch (error) {
    return [empty("It could not be read", `${error.message}. In a terminal: livespot explain ${id}`)];
  }
}

function show(title, sub, nodes) {
  document.getElementById("drawer-title").textContent = title;
  document.getElementById("drawer-sub").replaceChildren(...[sub].flat());
  content.replaceChildren(...nodes);
  if (!drawer.hidden) return;
  drawer.hidden = false;
  veil.hidden = false;
  document.body.classList.add("drawn");
  for (const node of outside()) node.inert = true;
  document.getElementById("drawer-close").focus();
}

function close() {
  drawer.hidden = true;
  veil.hidden = true;
  document.body.classList.remove("drawn");
  for (const node of outside()) node.inert = false;
  // The card may have been redrawn meanwhile: its new button stands for the old one.
  const target = back?.node.isConnected ? back.node : back?.key ? document.querySelector(`[data-key="${CSS.escape(back.key)}"]`) : null;
  (target || document.getElementById("main")).focus();
  back = null;
}

// The alert area and the lost connection stay reachable in any case.
function outside() {
  return document.querySelectorAll("header.top, main, footer, .skip");
}

function wrap(event) {
  const stops = [...drawer.querySelectorAll(STOPS)].filter((node) => !node.disabled && node.checkVisibility());
  const [first, last] = [stops[0], stops[stops.length - 1]];
  const inside = drawer.contains(document.activeElement);
  if (event.shiftKey && (!inside || document.activeElement === first)) { event.preventDefault(); last.focus(); }
  if (!event.shiftKey && (!inside || document.activeElement === last)) { event.preventDefault(); first.focus(); }
}
