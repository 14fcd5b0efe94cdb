// Orders, fills and positions, with a filter over all of them and a longer look back on request.

import { intentRow } from "/static/cards.js";
import { el, since } from "/static/dom.js";
import { age, amount, signed, tone, utc, words } from "/static/format.js";
import { ladder } from "/static/ladder.js";
import { badge, empty, opener, pair, table } from "/static/parts.js";
import { asked } from "/static/wire.js";

const LONG = 500;
const STATES = ["CREATED", "SENT_UNKNOWN", "CONFIRMED", "FAILED_TERMINAL", "NOT_FOUND"];
let wanted = { state: "", words: "" };
// The longer list is a picture of one moment; null means the live one.
let page = null;

export const parts = [
  { id: "held", title: "Open positions", of: ["positions"], build: positions },
  { id: "intents", title: "Intents", of: ["execution"], controls, build: intents },
  { id: "open-orders", title: "Orders", size: "half", of: ["orders"], build: orders },
  { id: "fills", title: "Fills", size: "half", of: ["fills"], build: fills },
  { id: "closed", title: "Closed positions", of: ["positions", "run"], build: closed },
];

function redraw() {
  for (const part of parts) document.dispatchEvent(new CustomEvent("livespot:redraw", { detail: part.id }));
}

function controls() {
  const state = el("select", {}, el("option", { value: "" }, "any state"), STATES.map((name) => el("option", { value: name }, words(name))));
  const search = el("input", { type: "search", placeholder: "symbol, role, id…", maxlength: "64", autocomplete: "off", spellcheck: "false" });
  const more = el("button", { type: "button", class: "plain" }, `Load the last ${LONG}`);
  const note = el("span", { class: "count", role: "status", id: "trades-note" }, "live");
  state.addEventListener("change", () => { wanted.state = state.value; redraw(); });
  search.addEventListener("input", () => { wanted.words = search.value.trim().toLowerCase(); redraw(); });
  more.addEventListener("click", async () => {
    page = page ? null : await longer(note);
    more.textContent = page ? "Back to live" : `Load the last ${LONG}`;
    if (page) note.textContent = `as of ${utc(page.now_ms)} UTC`;
    else if (!note.dataset.failed) note.textContent = "live";
    redraw();
  });
  return el("div", { class: "filters" }, el("label", {}, "State", state), el("label", {}, "Find", search), more, note);
}

async function longer(note) {
  delete note.dataset.failed;
  note.textContent = "loading…";
  try {
    const answer = await asked(`/api/orders?limit=${LONG}`);
    if (!answer.ok) throw new Error(`the process answered ${answer.status}`);
    return await answer.json();
  } catch (error) {
    note.dataset.failed = "";
    note.textContent = `could not be loaded: ${error.message}`;
    return null;
  }
}

function matching(rows, ...fields) {
  return wanted.words ? rows.filter((row) => fields.some((field) => `${row[field] ?? ""}`.toLowerCase().includes(wanted.words))) : rows;
}

function intents({ execution: x }) {
  const unknown = page ? page.intents.filter((intent) => intent.state === "SENT_UNKNOWN") : x.unknown;
  const pinned = new Set(unknown.map((intent) => intent.order_intent_id));
  const all = [...unknown, ...(page ? page.intents : x.recent).filter((intent) => !pinned.has(intent.order_intent_id))];
  const shown = matching(all, "symbol", "role", "action", "order_intent_id", "decision_id", "last_error_code").filter((intent) => !wanted.state || intent.state === wanted.state);
  if (!all.length) return [empty("No order yet", "Every order is recorded here before it is sent.")];
  if (!shown.length) return [empty("Nothing matches the filter", `${all.length} intents are hidden by it.`)];
  return [el("p", { class: "soft small", role: "status" }, `${shown.length} of ${all.length} intents`), table("Intents", ["Intent", "State", "Age", "Attempts"], [3], shown.map((intent) => intentRow(intent, pinned.has(intent.order_intent_id))))];
}

function orders({ orders: open }) {
  const shown = matching(page ? page.orders : open, "symbol", "role", "client_order_id", "order_intent_id", "order_id");
  if (!shown.length) return [empty(page || wanted.words ? "No such order" : "No open order", "Resting entries, stops and targets appear here.")];
  return [table("Orders", ["Order", "Role", "Price", "Filled"], [2, 3], shown.map((o) => el("tr", {},
    el("td", {}, opener("intent", o.order_intent_id, o.symbol, `${o.symbol} order ${o.order_id}`), ` ${o.side} `, el("span", { class: "soft" }, `${words(o.type)} ${o.order_id}`)),
    el("td", { class: "keep" }, badge("", "·", words(o.role || "foreign")), " ", el("span", { class: "soft small" }, words(o.status))),
    el("td", { class: "n" }, Number(o.price) ? amount(o.price, 8) : "market", Number(o.stop_price) ? el("div", { class: "soft small" }, `stop ${amount(o.stop_price, 8)}`) : null),
    el("td", { class: "n" }, `${amount(o.executed_qty, 8)} / ${amount(o.orig_qty, 8)}`))))];
}

function fills({ fills: newest }) {
  const shown = matching(page ? page.fills : newest, "symbol", "side", "trade_id", "order_id", "decision_id", "order_intent_id");
  if (!shown.length) return [empty(wanted.words ? "No such fill" : "No fill yet", "Every execution is listed with its fee.")];
  return [table("Fills", ["Fill", "Price", "Quantity", "Fee", "Age"], [1, 2, 3, 4], shown.map((f) => el("tr", {},
    el("td", {}, opener("decision", f.decision_id, f.symbol, `${f.symbol} fill ${f.trade_id}`), ` ${f.side} `, el("span", { class: "soft" }, f.is_maker ? "maker" : "taker")),
    el("td", { class: "n" }, amount(f.price, 8)), el("td", { class: "n" }, amount(f.qty, 8)),
    el("td", { class: "n" }, f.fee_unpriced ? "unpriced" : amount(f.fee_quote)), el("td", { class: "n soft" }, since(f.at_ms)))))];
}

function positions({ positions: open }) {
  if (!open.length) return [empty("No open position", "When an entry fills, it appears here with its stop and target.")];
  return matching(open, "symbol", "decision_id", "position_id").map((line) => el("div", { class: "pos" },
    el("div", { class: "held" }, el("span", { class: "sym" }, opener("decision", line.decision_id, line.symbol)), guard(line), el("span", { class: "soft" }, words(line.phase), line.trailing_mode ? `, trailing: ${words(line.trailing_mode)}` : "")),
    ladder(line),
    el("div", { class: "numbers" },
      pair("Quantity", amount(line.qty, 8)), pair("Entry average", amount(line.avg_price, 8)), pair("Cost", amount(line.cost_quote)),
      pair("Unrealised", el("span", { class: tone(line.unrealised_quote) }, signed(line.unrealised_quote))),
      pair("Stop covers", amount(line.protected_qty, 8)), pair("Open for", since(line.opened_ms)),
      pair("Without a stop", line.unprotected_since_ms ? el("span", { class: "loss" }, "now, for ", since(line.unprotected_since_ms)) : age(line.unprotected_ms)))));
}

function guard(line) {
  if (line.protected) return badge("good", "▣", "protected on the exchange");
  const moving = line.phase === "OPENING" || line.phase === "CLOSING";
  return badge(moving ? "warn" : "bad", "▢", moving ? "not protected yet" : "NOT PROTECTED");
}

function closed() {
  if (!page) return [el("p", { class: "soft" }, `Loaded together with the last ${LONG} intents, above.`)];
  const shown = matching(page.positions.filter((line) => line.closed_ms), "symbol", "exit_reason", "decision_id", "position_id");
  if (!shown.length) return [empty("No closed position", "Nothing was opened and closed yet, or the filter hides it.")];
  return [table("Closed positions", ["Position", "Result", "Fees", "Held for", "Without a stop", "Why it ended"], [1, 2, 3, 4], shown.map((line) => el("tr", {},
    el("td", { class: "keep" }, opener("decision", line.decision_id, line.symbol, `${line.symbol} position ${line.position_id}`), el("span", { class: "soft" }, ` ${utc(line.closed_ms, false)}`)),
    el("td", { class: `n ${tone(line.realised_quote) || ""}` }, signed(line.realised_quote)), el("td", { class: "n" }, line.fee_unpriced ? "unpriced" : amount(line.fees_quote)),
    el("td", { class: "n" }, age(line.closed_ms - line.opened_ms)), el("td", { class: "n" }, age(line.unprotected_ms)), el("td", { class: "why" }, line.exit_reason ? words(line.exit_reason) : "—"))))];
}
