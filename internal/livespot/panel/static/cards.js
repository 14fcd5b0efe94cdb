// One function per card: from its part of the snapshot to nodes.

import { age, amount, badge, bar, bytes, copyable, el, empty, signed, since, spark, svg, tone } from "/static/dom.js";

const SHAPES = {
  NORMAL: ["circle", { cx: 32, cy: 32, r: 27 }, "M20 33l9 9 16-19"],
  DEGRADE: ["path", { d: "M32 4L60 32L32 60L4 32Z" }, "M32 20v15M32 43v.5"],
  PAUSE: ["rect", { x: 6, y: 6, width: 52, height: 52, rx: 6 }, "M25 21v22M39 21v22"],
  EXIT: ["path", { d: "M32 5L61 57H3Z" }, "M32 25v15M32 48v.5"],
};
const MEANINGS = {
  NORMAL: "Entries are allowed.",
  DEGRADE: "New entries are off; positions are managed.",
  PAUSE: "Only risk-reducing actions until you resume.",
  EXIT: "The process is leaving.",
};
const STANDING = { CRASHED: "Process died", DOWN: "Not running", NEVER_RAN: "Not run yet", UNKNOWN: "Unknown" };
const SEVERITY = { INFO: ["", "i", "Info"], WARN: ["warn", "!", "Warning"], CRIT: ["bad", "‼", "Critical"] };
const STATES = {
  CREATED: ["", "○"], SENT_UNKNOWN: ["warn", "?"], CONFIRMED: ["good", "✓"], FAILED_TERMINAL: ["bad", "✕"], NOT_FOUND: ["", "∅"],
};

export function hero({ process, header, next }) {
  const known = process.state !== "NEVER_RAN";
  const alive = process.state === "RUNNING";
  const name = alive ? header.sysmode : process.state;
  const shape = alive ? SHAPES[header.sysmode] : null;
  return [
    el("div", { class: `state ${name}` },
      svg("svg", { viewBox: "0 0 64 64", "aria-hidden": "true" },
        shape ? svg(shape[0], shape[1]) : svg("circle", { cx: 32, cy: 32, r: 27, "stroke-dasharray": "7 8" }),
        shape ? svg("path", { d: shape[2], fill: "none", "stroke-width": 5 }) : null),
      el("div", {},
        el("div", { class: "word tone" }, alive ? header.sysmode : STANDING[process.state] || process.state),
        el("div", { class: "sub" }, alive ? [MEANINGS[header.sysmode] || "", " For ", since(header.since_ms), "."] : process.note)),
      known ? el("div", { class: "chips" },
        el("span", { class: "chip" }, el("b", {}, header.mode)),
        el("span", { class: "chip" }, el("span", { class: "soft" }, "stage "), header.stage),
        el("span", { class: "chip" }, el("span", { class: "soft" }, "up "), since(header.started_ms))) : null),
    el("div", { class: `next ${next.urgency}` },
      el("div", { class: "label" }, next.urgency === "NOW" ? "Do this now" : "Next"),
      el("div", { class: "what" }, next.action), el("div", { class: "soft" }, next.why)),
    header.reasons.length ? el("ul", { class: "reasons", "aria-label": "Active reasons" }, header.reasons.map(reason)) : null,
    known ? el("dl", { class: "facts" },
      fact("Run", copyable(header.run_id)), fact("Cycle", copyable(header.cycle_id)), fact("Decision", copyable(header.decision_id))) : null,
  ];
}

function reason(item) {
  const measured = item.unit ? `${number(item.value)} ${item.unit} · limit ${number(item.threshold)}` : "";
  return el("li", {},
    el("span", { class: "code mono" }, item.code), el("span", { class: "num" }, measured),
    el("span", {}, item.detail || item.meaning), el("span", { class: "soft" }, since(item.since_ms), item.count > 1 ? ` · ${item.count}×` : ""),
    el("span", { class: "wide do" }, "→ ", item.action || "No catalogue entry."));
}

function fact(name, value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value));
}

export function today({ pnl }) {
  const limit = Math.abs(Number(pnl.max_daily_loss_quote || 0));
  const used = limit ? (100 * Math.max(0, -Number(pnl.realised_quote))) / limit : 0;
  return [
    el("div", { class: `big num ${tone(pnl.realised_quote)}` }, signed(pnl.realised_quote)),
    el("div", { class: "soft" }, pnl.fee_unpriced ? "realised, quote units; some fee could not be priced" : "realised, quote units, fees included"),
    el("div", { class: "split" },
      pair("Unrealised", el("span", { class: `num ${tone(pnl.unrealised_quote)}` }, signed(pnl.unrealised_quote))),
      pair("Fees", amount(pnl.fees_quote)),
      pair("Closed", `${pnl.closed}`), pair("Won / lost", `${pnl.won} / ${pnl.lost}`)),
    limit ? el("div", { class: "room" },
      el("div", { class: "soft" }, `Daily loss limit ${amount(pnl.max_daily_loss_quote).replace("-", "−")}: ${used.toFixed(0)} % used`), bar(used, "daily loss limit used")) : null,
  ];
}

function pair(name, value) {
  return el("div", {}, el("div", { class: "k" }, name), el("div", { class: "v num" }, value));
}

export function positions({ positions: open }) {
  if (!open.length) return [empty("No open position", "When an entry fills, it appears here with its stop and target.")];
  return open.map(position);
}

function position(line) {
  const moving = line.phase === "OPENING" || line.phase === "CLOSING";
  const state = line.protected ? badge("good", "▣", "Protected on the exchange") : badge(moving ? "warn" : "bad", "▢", moving ? "Not protected yet" : "NOT PROTECTED");
  return el("div", { class: "pos" },
    el("div", { class: "pos-head" }, el("span", { class: "sym" }, line.symbol), state, line.phase === "PROTECTED" ? null : el("span", { class: "soft" }, line.phase.toLowerCase())),
    ladder(line),
    el("div", { class: "split" },
      pair("Quantity", amount(line.qty, 8)), pair("Entry average", amount(line.avg_price, 8)),
      pair("Unrealised", el("span", { class: tone(line.unrealised_quote) }, signed(line.unrealised_quote))),
      pair("Stop covers", amount(line.protected_qty, 8)),
      pair("Open for", since(line.opened_ms)),
      pair("Without a stop", line.unprotected_since_ms ? el("span", { class: "loss" }, "now, for ", since(line.unprotected_since_ms)) : age(line.unprotected_ms))));
}

function ladder(line) {
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

export function decisions({ decisions: all, watchlist }) {
  const watched = watchlist.length
    ? el("div", { class: "counts" }, el("span", { class: "soft" }, "Watching"), watchlist.map((item) => el("span", { class: "chip", title: `score ${item.score_x10000} of 10000` }, el("b", {}, item.symbol), el("span", { class: "soft" }, ` #${item.rank}`))))
    : null;
  if (!all.length) return [watched, empty("No decision yet", "The first candles are being read. Most decisions say no, and each says why.")];
  return [watched, table("stack", ["Symbol", "Decision", "Reward margin (bps)", "Age", "Why"], [2],
    all.map((item) => el("tr", {},
      el("td", { class: "keep" }, el("b", {}, item.symbol), " ", el("span", { class: "soft" }, item.regime.toLowerCase())),
      el("td", { class: "keep" }, fate(item)),
      el("td", { class: "n" }, margin(item)),
      el("td", { class: "keep soft" }, since(item.at_ms)),
      el("td", { class: "why" }, why(item).map((code) => el("div", { title: code.action }, el("span", {}, code.meaning || code.code), code.meaning ? el("span", { class: "soft mono" }, ` ${code.code}`) : null)), item.edge ? el("div", { class: "soft" }, odds(item.edge)) : null))))];
}

// A decision that stopped at an earlier check has no margin to show.
function margin(item) {
  if (item.outcome !== "PROPOSED" && item.edge_bps_expected === 0) return "—";
  return `${item.edge_bps_expected} bps`.replace("-", "−");
}

// What share of trades must reach the target, and what closed trades have shown; it decides nothing.
function odds({ breakeven_hit_x10000: need, trades, measured }) {
  const percent = (share) => `${(share / 100).toFixed(1)} %`;
  const needed = `Breaks even at ${percent(need)} hits`;
  if (!measured) return `${needed}; hit rate unmeasured (${trades} trades)`;
  const between = `${percent(measured.low_x10000)} to ${percent(measured.high_x10000)}`;
  return `${needed}; hit rate ${percent(measured.hit_rate_x10000)} (${between}), expectancy ${measured.expectancy_bps} bps`.replace(" -", " −");
}

function fate(item) {
  if (item.outcome !== "PROPOSED") return badge("", "·", "Blocked");
  if (item.risk === "ALLOW") return badge("good", "✓", "Approved");
  if (item.risk === "BLOCK") return badge("warn", "✕", "Risk said no");
  if (item.gate === "BLOCK" || item.gate === "ERROR") return badge("warn", "✕", item.gate === "ERROR" ? "Gate failed" : "Gate said no");
  return badge("", "▸", "Proposed");
}

function why(item) {
  if (item.risk === "BLOCK") return item.risk_reasons;
  if (item.gate === "BLOCK" || item.gate === "ERROR") return item.gate_reasons;
  return item.reasons.slice(0, 4);
}

function table(kind, heads, numeric, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Table of ${heads[0].toLowerCase()}s` },
    el("table", { class: kind }, el("thead", {}, el("tr", {}, heads.map((head, i) => el("th", { scope: "col", class: numeric.includes(i) ? "n" : null }, head)))), el("tbody", {}, rows)));
}

export function health({ health: h }) {
  if (!h.at_ms) return [empty("No measurement yet", "Disk, memory, queues and ages appear a few seconds after the start.")];
  const s = h.series;
  return [
    el("div", { class: "tiles" },
      tile("Disk free", bytes(h.disk_free_bytes), "", spark(s.disk_free_bytes, "free disk")),
      tile("Database", bytes(h.db_bytes), "", spark(s.db_bytes, "database size")),
      tile("Write-ahead log", bytes(h.wal_bytes), "", spark(s.wal_bytes, "log size")),
      tile("Memory", bytes(h.rss_bytes), "", spark(s.rss_bytes, "memory")),
      tile("Processor", `${(h.cpu_percent_x100 / 100).toFixed(1)} %`, "", spark(s.cpu_percent_x100, "processor use")),
      tile("Writer queue", count(h.writer_depth), `lag ${age(h.writer_lag_ms)}`, spark(s.writer_depth, "queue depth")),
      tile("Stream age", age(h.stream_age_ms), "last market frame"),
      tile("REST age", age(h.rest_age_ms), "last confirming call"),
      tile("Clock offset", `${h.clock_offset_ms} ms`.replace("-", "−"), "to the exchange"),
      tile("Weight used", h.used_weight < 0 ? "—" : `${h.used_weight}`, `of ${count(h.weight_limit)}`, bar((100 * h.used_weight) / Math.max(1, h.weight_limit), "request weight used")),
      tile("Events", `${h.events_per_minute}`, "per minute"),
      tile("Drops", `${h.drops}`, h.writer_failed > 0 ? `${h.writer_failed} failed writes` : "samples only")),
    h.mailboxes.length ? el("div", { class: "boxes" }, h.mailboxes.map((box) => el("div", {},
      el("div", { class: "row" }, el("span", {}, box.name), el("span", { class: "soft num" }, `${box.depth} / ${box.capacity}`)), bar((100 * box.depth) / Math.max(1, box.capacity), `${box.name} mailbox`)))) : null,
    el("p", { class: "soft room" }, "Measured ", since(h.at_ms, " ago")),
  ];
}

function tile(name, value, small, chart = null) {
  return el("div", { class: "tile" }, el("div", { class: "k" }, name), el("div", { class: "v" }, value), small ? el("div", { class: "s" }, small) : null, chart);
}

function count(value) { return value < 0 ? "—" : number(value); }

function number(value) { return value.toLocaleString("en").replaceAll(",", " "); }

export function execution({ execution: x }) {
  const pinned = new Set(x.unknown.map((intent) => intent.order_intent_id));
  const rest = x.recent.filter((intent) => !pinned.has(intent.order_intent_id)).slice(0, 10);
  const parts = [x.counted === 0 ? null : el("div", { class: "counts" }, Object.entries(x.by_state).map(([state, many]) => badge((STATES[state] || [""])[0], (STATES[state] || ["", "·"])[1], `${many} ${state}`)))];
  if (x.recent.length || x.unknown.length) {
    parts.push(table("stack", ["Intent", "State", "Age", "Attempts"], [3],
      [...x.unknown.map((intent) => intentRow(intent, true)), ...rest.map((intent) => intentRow(intent, false))]));
  } else parts.push(empty("No order was wanted yet", "Every order is written down here before it is sent."));
  parts.push(reconcile(x.reconcile));
  if (x.churn.length) parts.push(el("h3", {}, "Churn, last 10 s / 60 s"), x.churn.map((c) => el("p", {}, el("b", {}, c.symbol), ` new ${c.new_10s}/${c.new_60s}, cancels ${c.cancel_10s}/${c.cancel_60s}, reprices ${c.replace_10s}/${c.replace_60s} `, c.near_limit ? badge("warn", "!", "near the limit") : null)));
  return parts;
}

function intentRow(intent, pin) {
  const [kind, mark] = STATES[intent.state] || ["", "·"];
  return el("tr", { class: pin ? "pin" : null },
    el("td", {}, el("b", {}, intent.symbol), ` ${intent.side} `, el("span", { class: "soft" }, `${intent.action} · ${intent.role}`)),
    el("td", { class: "keep" }, badge(kind, mark, pin ? "Outcome unknown" : intent.state), intent.last_error_code ? el("span", { class: "soft" }, ` ${intent.last_error_code}`) : null),
    el("td", { class: "keep soft" }, since(intent.created_ms)),
    el("td", { class: "n" }, `${intent.attempts}`));
}

function reconcile(report) {
  if (!report) return el("p", { class: "soft room" }, "No reconcile has run yet.");
  const kind = { OK: ["good", "✓"], WARN: ["warn", "!"], BAD: ["bad", "✕"] }[report.label] || ["", "·"];
  return el("div", {},
    el("h3", {}, "Reconcile with the exchange"),
    el("p", {}, badge(kind[0], kind[1], report.label), " ", since(report.at_ms, " ago"), el("span", { class: "soft" }, ` · took ${age(report.duration_ms)} · drift ${report.drift_score_x10000}`)),
    report.diffs.slice(0, 8).map((diff) => el("p", { class: "soft" }, `${diff.corrected ? "corrected" : "open"} · ${diff.symbol} ${diff.mismatch} ${diff.subject}: ours ${diff.before || "—"}, theirs ${diff.after || "—"}`)));
}

export function alerts({ alerts: a }) {
  const counts = el("div", { class: "counts" },
    badge(a.crit ? "bad" : "", "‼", `${a.crit} critical`), badge(a.warn ? "warn" : "", "!", `${a.warn} warning${a.warn === 1 ? "" : "s"}`), badge("", "i", `${a.info} info`));
  if (!a.latest.length) return [counts, empty("All quiet", "Anything that needs your eyes is listed here and pops up once.")];
  return [counts, el("ul", { class: "list", tabindex: "0", "aria-label": "Latest alerts" }, a.latest.map((item) => {
    const [kind, mark, word] = SEVERITY[item.severity] || ["", "·", item.severity];
    return el("li", {}, badge(kind, mark, word),
      el("div", { class: "text" }, item.text || item.code.meaning, el("div", { class: "soft" }, item.symbol ? `${item.symbol} · ` : "", el("span", { class: "mono" }, item.code.code))),
      el("span", { class: "soft" }, since(item.at_ms)));
  }))];
}

export function orders({ orders: open, fills }) {
  return [
    open.length ? table("stack", ["Order", "Role", "Price", "Filled"], [2, 3], open.map((o) => el("tr", {},
      el("td", {}, el("b", {}, o.symbol), ` ${o.side} `, el("span", { class: "soft" }, o.type)),
      el("td", { class: "keep" }, badge("", "·", o.role || "foreign")),
      el("td", { class: "n" }, Number(o.price) ? amount(o.price, 8) : "market", Number(o.stop_price) ? el("span", { class: "soft" }, ` stop ${amount(o.stop_price, 8)}`) : null),
      el("td", { class: "n" }, `${amount(o.executed_qty, 8)} / ${amount(o.orig_qty, 8)}`)))) : empty("No open order", "Resting entries, stops and targets appear here."),
    el("h3", {}, "Last fills"),
    fills.length ? table("stack", ["Fill", "Price", "Quantity", "Fee", "Age"], [1, 2, 3, 4], fills.slice(0, 8).map((f) => el("tr", {},
      el("td", {}, el("b", {}, f.symbol), ` ${f.side} `, el("span", { class: "soft" }, f.is_maker ? "maker" : "taker")),
      el("td", { class: "n" }, amount(f.price, 8)), el("td", { class: "n" }, amount(f.qty, 8)),
      el("td", { class: "n" }, f.fee_unpriced ? "unpriced" : amount(f.fee_quote)), el("td", { class: "n soft" }, since(f.at_ms))))) : el("p", { class: "soft" }, "Nothing was filled yet."),
  ];
}

export function stages({ stages: spans }) {
  if (!spans.length) return [empty("Not started", "Each cycle walks through its stages; the last twenty are kept in view.")];
  return [el("ol", { class: "stages", tabindex: "0", "aria-label": "Last stages" }, spans.map((span, i) => {
    const now = span.duration_ms < 0;
    return el("li", { class: now ? "now" : null, title: span.cycle_id },
      el("span", { class: "dot", "aria-hidden": "true" }), el("span", {}, span.stage.replaceAll("_", " ").toLowerCase(), now ? " · now" : ""),
      el("span", { class: "n" }, now ? since(span.entered_ms) : age(span.duration_ms)), el("span", { class: "n" }, i ? since(span.entered_ms) : ""));
  }))];
}
