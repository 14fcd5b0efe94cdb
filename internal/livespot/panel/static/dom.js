// Building blocks: every text goes in as text, never as markup.

import { age } from "/static/format.js";

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(9)) {
    if (child !== null && child !== undefined && child !== "" && child !== false) node.append(child);
  }
  return node;
}

export function text(id, value) {
  const node = document.getElementById(id);
  if (node.textContent !== value) node.textContent = value;
}

// An age that follows the market clock of the snapshots without the card being rebuilt.
export function since(atMs, suffix = "") {
  return atMs ? el("time", { "data-at": atMs, "data-suffix": suffix, class: "num" }, "…") : el("span", { class: "soft" }, "—");
}

// Marks its element as old once it has not been renewed for so long: greyed, with its age in words.
export function freshness(node, atMs, limitMs) {
  node.dataset.freshAt = atMs;
  node.dataset.freshFor = limitMs;
  return node;
}

export function refreshAges(nowMs, root = document) {
  for (const node of root.querySelectorAll("time[data-at]")) {
    const shown = age(Math.max(0, nowMs - Number(node.dataset.at))) + node.dataset.suffix;
    if (node.textContent !== shown) node.textContent = shown;
  }
  for (const node of root.querySelectorAll("[data-fresh-at]")) {
    const old = nowMs - Number(node.dataset.freshAt);
    const stale = Number(node.dataset.freshAt) > 0 && old > Number(node.dataset.freshFor);
    node.classList.toggle("aged", stale);
    const note = node.parentElement.querySelector(":scope > .age-note") || node.parentElement.insertBefore(el("p", { class: "age-note" }), node);
    note.hidden = !stale;
    const said = stale ? `Stale: measured ${age(old)} ago` : "";
    if (note.textContent !== said) note.textContent = said;
  }
  for (const row of root.querySelectorAll("[data-old-at]")) row.classList.toggle("aged", nowMs - Number(row.dataset.oldAt) > Number(row.dataset.oldFor));
}

// How wide a drawing over the whole page may be: one unit of it is one pixel, so that its text keeps its size.
export function drawingWidth() {
  return Math.max(280, document.getElementById("main").clientWidth - (window.innerWidth <= 560 ? 54 : 84));
}

// Replaces what a card shows and keeps the reader's place: focus, and how far lists were scrolled.
export function replace(body, nodes) {
  const held = body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scrolled = [...body.querySelectorAll("[data-scroll]")].map((node) => [node.dataset.scroll, node.scrollTop, node.scrollLeft]);
  body.replaceChildren(...nodes.flat(9).filter(Boolean));
  for (const [key, top, left] of scrolled) {
    const node = body.querySelector(`[data-scroll="${CSS.escape(key)}"]`);
    if (node) { node.scrollTop = top; node.scrollLeft = left; }
  }
  if (held) body.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}
