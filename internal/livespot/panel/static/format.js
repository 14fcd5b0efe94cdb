// Values as people read them. Decimal text is cut, never turned into a float.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function missing(value) {
  return value === null || value === undefined || value < 0;
}

export function age(ms) {
  if (missing(ms)) return "—";
  if (ms < 1000) return `${ms} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 120) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 120) return `${m} min`;
  if (m < 2880) return `${Math.floor(m / 60)} h ${String(m % 60).padStart(2, "0")}`;
  return `${Math.floor(m / 1440)} d`;
}

export function bytes(count) {
  if (missing(count)) return "—";
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) { value /= 1024; unit += 1; }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export function number(value) {
  return value.toLocaleString("en").replaceAll(",", " ").replace("-", "−");
}

export function count(value) {
  return missing(value) ? "—" : number(value);
}

export function amount(text, decimals = 4) {
  if (text === "" || text === null || text === undefined) return "—";
  const [whole, rest = ""] = `${text}`.split(".");
  const kept = rest.slice(0, decimals).replace(/0+$/, "");
  const shown = kept ? `${whole}.${kept}` : whole;
  return shown === "-0" ? "0" : shown.replace("-", "−");
}

export function signed(text, decimals = 4) {
  const shown = amount(text, decimals);
  return shown === "—" || shown === "0" || shown.startsWith("−") ? shown : `+${shown}`;
}

export function tone(text) {
  const shown = signed(text);
  return shown.startsWith("+") ? "gain" : shown.startsWith("−") ? "loss" : null;
}

// Scores travel as ten-thousandths, bps as hundredths of a percent.
export function share(x10000, digits = 1) {
  if (x10000 === null || x10000 === undefined) return "—";
  return `${(x10000 / 100).toFixed(digits)} %`.replace("-", "−");
}

export function bps(value) {
  if (value === null || value === undefined) return "—";
  return `${number(value)} bps`;
}

export function utc(ms, seconds = true) {
  return ms ? new Date(ms).toISOString().slice(0, seconds ? 19 : 16).replace("T", " ") : "—";
}

export function clock(ms) {
  return ms ? new Date(ms).toISOString().slice(11, 19) : "—";
}

export function ratio(x10000) {
  return x10000 === null || x10000 === undefined ? "—" : (x10000 / 10000).toFixed(2).replace("-", "−");
}

export function words(code) {
  return `${code ?? "—"}`.replaceAll("_", " ").toLowerCase();
}
