// The panes behind the tabs: each is a list of cards, mounted once and drawn while it is open.

import { el } from "/static/dom.js";
import { parts as gate } from "/static/pane_gate.js";
import { parts as market } from "/static/pane_market.js";
import { parts as risk } from "/static/pane_risk.js";
import { parts as run } from "/static/pane_run.js";
import { parts as selection } from "/static/pane_selection.js";
import { parts as trades } from "/static/pane_trades.js";

export const panes = { market: mounted("market", market), risk: mounted("risk", risk), gate: mounted("gate", gate), selection: mounted("selection", selection), trades: mounted("trades", trades), run: mounted("run", run) };

function mounted(name, parts) {
  const bodies = parts.map(() => el("div", { class: "body" }));
  const sections = parts.map((part, i) => el("section", { class: `card ${part.size || ""}`, id: part.id, "aria-labelledby": `h-${part.id}` },
    el("h2", { id: `h-${part.id}` }, part.title), part.controls ? part.controls() : null, bodies[i]));
  document.getElementById(`pane-${name}`).append(el("div", { class: "panes" }, sections));
  return parts.map((part, i) => ({ ...part, body: () => bodies[i] }));
}
