// The rest of the first fold: alerts, execution, stages, health.

import { el, freshness, since, svg } from "/static/dom.js";
import { age, bytes, count, number, share, words } from "/static/format.js";
import { badge, bar, empty, intentState, labelled, opener, severity, spark, table } from "/static/parts.js";

const RANKS = { INFO: 0, WARN: 1, CRIT: 2 };
// Samples come every ten seconds.
const SAMPLE_STALE_MS = 35_000;
const RECONCILE_STALE_MS = 900_000;

export function alerts({ alerts: a }, least) {
  const counts = el("div", { class: "counts" },
    badge(a.crit ? "bad" : "", "‼", `${a.crit} critical`), badge(a.warn ? "warn" : "", "!", `${a.warn} warning${a.warn === 1 ? "" : "s"}`), badge("", "i", `${a.info} info`));
  const shown = a.latest.filter((item) => (RANKS[item.severity] ?? 2) >= (RANKS[least] ?? 0));
  if (!a.latest.length) return [counts, el("div", { class: "alert-list" }, empty("All quiet", "Whatever needs your attention is listed here and pops up once."))];
  if (!shown.length) return [counts, el("div", { class: "alert-list" }, empty("None of that severity", `${a.latest.length} less severe ones are hidden by the filter.`))];
  return [counts, el("ul", { class: "alert-list", tabindex: "0", "aria-label": "Latest alerts", "data-scroll": "alerts", "data-key": "alerts" }, shown.map((item) => el("li", {},
    severity(item.severity), el("span", { class: "soft small" }, since(item.at_ms, " ago")),
    el("div", { class: "text" }, item.symbol ? el("b", {}, `${item.symbol} `) : null, item.text || item.code.meaning, " ", el("span", { class: "mono soft" }, item.code.code)))))];
}

export function execution({ execution: x }) {
  const pinned = new Set(x.unknown.map((intent) => intent.order_intent_id));
  const rest = x.recent.filter((intent) => !pinned.has(intent.order_intent_id)).slice(0, 6);
  const parts = [x.counted === 0 ? null : el("div", { class: "counts" }, Object.entries(x.by_state).map(([state, many]) => intentState(state, many)))];
  if (x.recent.length || x.unknown.length) {
    parts.push(table("Intents, outcome unknown first", ["Intent", "State", "Age", "Attempts"], [3],
      [...x.unknown.map((intent) => intentRow(intent, true)), ...rest.map((intent) => intentRow(intent, false))]));
  } else parts.push(empty("No order yet", "Every order is recorded here before it is sent."));
  parts.push(reconcile(x.reconcile));
  if (x.churn.length) parts.push(churn(x.churn));
  return [el("div", { class: "stack-gap" }, parts)];
}

export function intentRow(intent, pin) {
  return el("tr", { class: pin ? "pin" : null },
    el("td", {}, opener("intent", intent.order_intent_id, intent.symbol, `${intent.symbol} ${intent.action} ${intent.role}`), ` ${intent.side} `, el("span", { class: "soft" }, words(`${intent.action} · ${intent.role}`))),
    el("td", { class: "keep" }, intentState(intent.state), intent.last_error_code ? el("span", { class: "soft mono" }, ` ${intent.last_error_code}`) : null),
    el("td", { class: "keep soft" }, since(intent.created_ms)),
    el("td", { class: "n" }, `${intent.attempts}`));
}

function reconcile(report) {
  if (!report) return el("p", { class: "soft" }, "No reconcile with the exchange has run yet.");
  const open = report.diffs.slice(0, 6);
  return el("div", {}, freshness(el("div", {},
    el("p", {}, el("b", {}, "Reconcile "), labelled(report.label), " ", since(report.at_ms, " ago"), el("span", { class: "soft" }, ` · took ${age(report.duration_ms)} · drift ${report.drift_score_x10000}`)),
    open.map((diff) => el("p", { class: "soft small wrap" }, `${diff.corrected ? "corrected" : "open"}: ${diff.symbol} ${words(diff.mismatch)} ${diff.subject}, ours ${diff.before || "—"}, theirs ${diff.after || "—"}`))), report.at_ms, RECONCILE_STALE_MS));
}

function churn(rows) {
  return table("Churn", ["Churn", "New 10/60 s", "Cancels 10/60 s", "Reprices 10/60 s"], [1, 2, 3], rows.map((c) => el("tr", {},
    el("td", {}, el("b", {}, c.symbol), " ", c.near_limit ? badge("warn", "!", "near the limit") : null),
    el("td", { class: "n" }, `${c.new_10s} / ${c.new_60s}`), el("td", { class: "n" }, `${c.cancel_10s} / ${c.cancel_60s}`), el("td", { class: "n" }, `${c.replace_10s} / ${c.replace_60s}`))), "plain");
}

export function stages({ stages: spans }) {
  if (!spans.length) return [empty("Not started", "Each cycle walks through its stages; the last twenty are kept in view.")];
  return [ribbon(spans), el("ol", { class: "stage-list", tabindex: "0", "aria-label": "Last stages, newest first", "data-scroll": "stages", "data-key": "stages" }, spans.map((span, i) => {
    const now = span.duration_ms === null;
    const boundary = i > 0 && spans[i - 1].cycle_id !== span.cycle_id;
    return el("li", { class: now ? "now" : boundary ? "first" : null, title: span.cycle_id },
      el("span", { class: "dot", "aria-hidden": "true" }), el("span", {}, words(span.stage), now ? " · now" : ""),
      el("span", { class: "n" }, now ? since(span.entered_ms) : age(span.duration_ms)), el("span", { class: "n" }, i ? since(span.entered_ms) : ""));
  }))];
}

// Oldest on the left; the width grows with the logarithm of the duration, so that short stages stay visible.
function ribbon(spans) {
  const widths = [...spans].reverse().map((span) => (span.duration_ms === null ? 3 : Math.log10(span.duration_ms + 10)));
  const scale = 100 / widths.reduce((sum, width) => sum + width, 0);
  let x = 0;
  return svg("svg", { class: "ribbon", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, widths.map((width, i) => {
    const rect = svg("rect", { x: x.toFixed(2), y: 0, width: Math.max(0.4, width * scale - 0.35).toFixed(2), height: 12, class: i === widths.length - 1 ? "now" : i % 2 ? "alt" : null });
    x += width * scale;
    return rect;
  }));
}

export function health({ health: h }) {
  if (!h.at_ms) return [empty("No measurement yet", "Disk, memory, queues and ages appear a few seconds after the start.")];
  const s = h.series;
  return [freshness(el("div", {},
    el("div", { class: "tiles" },
      tile("Disk free", bytes(h.disk_free_bytes), "", spark(s.disk_free_bytes, "Free disk")),
      tile("Database", bytes(h.db_bytes), "", spark(s.db_bytes, "Database size")),
      tile("Write-ahead log", bytes(h.wal_bytes), "", spark(s.wal_bytes, "Size of the write-ahead log")),
      tile("Memory", bytes(h.rss_bytes), "", spark(s.rss_bytes, "Memory")),
      tile("Processor", share(h.cpu_percent_x100), "", spark(s.cpu_percent_x100, "Processor use")),
      tile("Writer", writer(h), `${count(h.writer_depth)} waiting, lag ${age(h.writer_lag_ms)}`, spark(s.writer_lag_ms, "Writer lag")),
      tile("Stream age", age(h.stream_age_ms), h.unknown.stream_age_ms || "last market frame", spark(s.stream_age_ms, "Stream age")),
      tile("REST age", age(h.rest_age_ms), h.unknown.rest_age_ms || "last confirming call", spark(s.rest_age_ms, "REST age")),
      tile("Clock offset", h.clock_offset_ms === null ? "—" : `${number(h.clock_offset_ms)} ms`, h.unknown.clock_offset_ms || "to the exchange"),
      tile("Weight used", count(h.used_weight), h.unknown.used_weight || `of ${count(h.weight_limit)}`, bar((100 * (h.used_weight || 0)) / Math.max(1, h.weight_limit || 1), "Request weight used")),
      tile("Events", `${h.events_per_minute}`, "per minute"),
      tile("Drops", [count(h.drops), h.drops ? el("span", { class: "mark" }, " !") : null], h.drops ? "samples only, never orders" : "nothing lost")),
    h.mailboxes.length ? el("div", { class: "boxes", role: "group", "aria-label": "Mailboxes" }, h.mailboxes.map((box) => el("div", {},
      el("div", { class: "row" }, el("span", {}, words(box.name)), el("span", { class: "soft num" }, `${box.depth} / ${box.capacity}`)), bar((100 * box.depth) / Math.max(1, box.capacity), `${box.name} mailbox`)))) : null), h.at_ms, SAMPLE_STALE_MS)];
}

function writer(h) {
  const [kind, mark, word] = { OK: ["good", "✓", "in time"], BEHIND: ["warn", "!", "behind"], FAILED: ["bad", "✕", "failed"] }[h.writer_state] || ["", "·", "unknown"];
  return badge(kind, mark, h.writer_failed ? `${word}, ${h.writer_failed} failed` : word);
}

function tile(name, value, small, chart = null) {
  return el("div", { class: "tile" }, el("div", { class: "k" }, name), el("div", { class: "v" }, value), small ? el("div", { class: "s" }, small) : null, chart);
}
