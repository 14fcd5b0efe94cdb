// Building blocks: every text goes in as text, never as markup.

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
    if (child !== null && child !== undefined && child !== "") node.append(child);
  }
  return node;
}

export function age(ms) {
  if (ms < 0) return "—";
  if (ms < 1000) return `${ms} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 120) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 120) return `${m} min`;
  if (m < 2880) return `${Math.floor(m / 60)} h ${String(m % 60).padStart(2, "0")}`;
  return `${Math.floor(m / 1440)} d`;
}

// An age that follows the market clock of the snapshots without the card being rebuilt.
export function since(atMs, suffix = "") {
  return atMs ? el("time", { "data-at": atMs, "data-suffix": suffix, class: "num" }, "…") : el("span", { class: "soft" }, "—");
}

export function refreshAges(nowMs) {
  for (const node of document.querySelectorAll("time[data-at]")) {
    const text = age(Math.max(0, nowMs - Number(node.dataset.at))) + node.dataset.suffix;
    if (node.textContent !== text) node.textContent = text;
  }
}

export function bytes(count) {
  if (count < 0) return "—";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

// Decimal text is cut, never turned into a float.
export function amount(text, decimals = 4) {
  if (!text) return "—";
  const [whole, rest = ""] = text.split(".");
  const kept = rest.slice(0, decimals).replace(/0+$/, "");
  return kept ? `${whole}.${kept}` : whole;
}

export function signed(text, decimals = 4) {
  const shown = amount(text, decimals);
  if (shown === "-0") return "0";
  return shown === "—" || shown === "0" || shown.startsWith("-") ? shown.replace("-", "−") : `+${shown}`;
}

export function tone(text) {
  const shown = signed(text);
  return shown.startsWith("+") ? "gain" : shown.startsWith("−") ? "loss" : "";
}

export function copyable(text) {
  if (!text) return el("span", { class: "soft" }, "—");
  const button = el("button", { class: "copy mono", type: "button", title: `Copy ${text}` }, text);
  button.addEventListener("click", () => navigator.clipboard.writeText(text));
  return button;
}

export function badge(kind, mark, text) {
  return el("span", { class: `badge ${kind}` }, el("span", { "aria-hidden": "true" }, mark), text);
}

export function empty(title, text) {
  return el("div", { class: "empty" }, el("b", {}, title), el("span", {}, text));
}

export function spark(values, label) {
  const known = values.filter((value) => value >= 0);
  if (known.length < 2) return svg("svg", { class: "spark", "aria-hidden": "true" });
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const step = 100 / (known.length - 1);
  const points = known.map((value, i) => `${(i * step).toFixed(1)} ${(27 - (24 * (value - low)) / span).toFixed(1)}`);
  const line = `M${points.join("L")}`;
  return svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("path", { class: "area", d: `${line}L100 30L0 30Z` }), svg("path", { d: line }));
}

export function bar(percent, label) {
  const width = Math.max(0, Math.min(100, percent));
  const level = width >= 95 ? "full" : width >= 80 ? "near" : "";
  return svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("rect", { width: 100, height: 8, rx: 2 }), svg("rect", { class: `fill ${level}`, width, height: 8, rx: 2 }));
}
