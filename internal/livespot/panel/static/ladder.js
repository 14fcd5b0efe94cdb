// Where the price stands between stop, entry and target.

import { el, svg } from "/static/dom.js";
import { amount } from "/static/format.js";

export function ladder(line) {
  const [stop, entry, target] = [line.sl_price, line.avg_price, line.tp_price].map(Number);
  if (!(stop > 0 && target > stop && entry > 0)) return el("p", { class: "soft" }, "Stop and target are not set yet.");
  const mark = line.mark_price ? Number(line.mark_price) : null;
  const low = Math.min(stop, entry, mark ?? stop);
  const high = Math.max(target, entry, mark ?? target);
  const x = (price) => 8 + (384 * (price - low)) / (high - low);
  const label = (price, y, anchor, text, strong = false) => svg("text", { x: x(price), y, "text-anchor": anchor, class: strong ? "strong" : null }, text);
  const at = mark === null ? null : x(mark);
  return svg("svg", { class: "ladder", viewBox: "0 0 400 74", role: "img", "aria-label": `stop ${line.sl_price}, entry ${line.avg_price}, target ${line.tp_price}, now ${line.mark_price || "unknown"}` },
    svg("line", { class: "risk", x1: x(stop), x2: x(entry), y1: 38, y2: 38 }), svg("line", { class: "reward", x1: x(entry), x2: x(target), y1: 38, y2: 38 }),
    [stop, entry, target].map((price) => svg("line", { class: "tick", x1: x(price), x2: x(price), y1: 31, y2: 45 })),
    label(stop, 62, "start", `stop ${amount(line.sl_price, 8)}`),
    label(entry, 62, "middle", `entry ${amount(line.avg_price, 8)}`),
    label(target, 62, "end", `target ${amount(line.tp_price, 8)}`),
    at === null ? null : [svg("circle", { cx: at, cy: 38, r: 6 }), label(mark, 20, at < 70 ? "start" : at > 330 ? "end" : "middle", `now ${amount(line.mark_price, 8)}`, true)]);
}
