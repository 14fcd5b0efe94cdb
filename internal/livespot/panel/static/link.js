// The wire to the process: receives snapshots, and says within three seconds when nothing arrives.

import { el, text } from "/static/dom.js";
import { age, amount, utc } from "/static/format.js";
import { address, asked } from "/static/wire.js";

const LOST_MS = 2000;
const GONE_MS = 10_000;
const POLL_MS = 2000;
const loaded = performance.now();
let arrived = 0;
let refresh = 1000;
let latest = null;
let stream = null;
let tried = 0;
let shown = "";
let refused = false;
let heard = () => {};

export function open(onSnapshot, onAlert) {
  heard = (snapshot) => {
    arrived = performance.now();
    refresh = snapshot.refresh_ms;
    latest = snapshot;
    onSnapshot(snapshot);
    watch();
  };
  connect(onAlert);
  setInterval(() => {
    watch();
    if (stream.readyState === EventSource.CLOSED && performance.now() - tried > POLL_MS) poll(onAlert);
  }, 400);
}

function connect(onAlert) {
  stream = new EventSource(address("/api/stream"));
  stream.addEventListener("snapshot", (event) => heard(JSON.parse(event.data)));
  stream.addEventListener("alert", (event) => onAlert(JSON.parse(event.data)));
  stream.addEventListener("error", watch);
}

// A refused stream is not reopened by the browser: with every place taken, asking now and then still shows the truth.
async function poll(onAlert) {
  tried = performance.now();
  try {
    const answer = await asked("/api/dashboard");
    refused = answer.status === 403;
    if (answer.ok) {
      const snapshot = await answer.json();
      if (!latest || snapshot.now_ms !== latest.now_ms) heard(snapshot);
    }
    connect(onAlert);
  } catch {
    watch();
  }
}

function watch() {
  const quiet = performance.now() - (arrived || loaded);
  const open = stream.readyState === EventSource.OPEN;
  const lost = quiet > Math.max(LOST_MS, 2 * refresh) || (!open && arrived > 0 && quiet > LOST_MS);
  const state = !lost ? (arrived ? "live" : "wait") : quiet > GONE_MS ? "gone" : open ? "quiet" : "lost";
  const words = { live: "live", wait: "connecting", quiet: "no new data", lost: "connection lost", gone: "process gone?" };
  document.getElementById("link").dataset.state = state;
  text("link-text", words[state]);
  document.body.classList.toggle("stale", lost);
  banner(state, quiet);
  if (lost) document.title = `${state === "gone" ? "GONE" : "CONNECTION LOST"} · livespot`;
}

function banner(state, quiet) {
  const box = document.getElementById("lost");
  const lost = state !== "live" && state !== "wait";
  box.hidden = !lost;
  box.classList.toggle("gone", state === "gone");
  // Spoken once per state; the running age is not announced again every second.
  const key = `${state} ${refused}`;
  if (shown !== key) {
    shown = key;
    box.querySelector(".inner").replaceChildren(...(lost ? said(state) : []));
  }
  const old = box.querySelector(".old");
  if (old) old.textContent = age(Math.round(quiet / 1000) * 1000);
}

function said(state) {
  const old = el("span", { class: "old num", "aria-live": "off" });
  if (refused) return [el("strong", {}, "This panel asks for its token. "), "Open the address the process printed when it started; the token is the part after the #."];
  if (state === "quiet") return [el("strong", {}, "Connection lost: no new data. "), "What you see is ", old, " old. The connection is open but nothing arrives."];
  if (state === "lost") return [el("strong", {}, "Connection lost. "), arrived ? ["What you see is ", old, " old. Trying again."] : "Nothing has arrived yet. Trying again."].flat();
  if (!latest) return [el("strong", {}, "The process does not answer."), el("div", {}, "No snapshot has arrived for ", old, ". In a terminal: ", el("code", {}, "livespot status"))];
  const { header, process, now_ms: now } = latest;
  return [
    el("strong", {}, "The process has ended, or cannot answer."),
    el("div", {}, "No sign of life for ", old, `. Last one at ${utc(now)} UTC, in ${header.sysmode || "no mode"}${header.mode ? `, ${header.mode}` : ""}. Everything below is its last known state.`),
    el("ul", {}, held(latest.positions).map((line) => el("li", {}, line)),
      el("li", {}, "What happened: ", el("code", {}, process.look)),
      el("li", {}, "Start it again", process.again ? [": ", el("code", {}, process.again)] : " the way you did before", ". The start checks every order before it trades; this page comes back by itself.")),
  ];
}

function held(positions) {
  if (!positions.length) return ["No position was open."];
  return positions.map((line) => (line.protected
    ? `${amount(line.qty, 8)} ${line.symbol} was protected: its stop at ${amount(line.sl_price, 8)} rests on the exchange and works without the process.`
    : `${amount(line.qty, 8)} ${line.symbol} had NO stop on the exchange. Place one there by hand, or sell it.`));
}
