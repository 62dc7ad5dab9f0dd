// Numbers and times as people read them.

const MINUTE = 60,
  HOUR = 3600,
  DAY = 86400;

/** 1234 -> "1,234", 1234567 -> "1.23 M"; short enough for a cell. */
export function count(number) {
  if (number === null || number === undefined) return "–";
  if (Math.abs(number) < 10) return String(Math.round(number * 10) / 10);
  if (Math.abs(number) < 100_000) return Math.round(number).toLocaleString("en");
  for (const [size, unit] of [
    [1e3, "k"],
    [1e6, "M"],
    [1e9, "G"],
  ]) {
    const scaled = number / size;
    if (Math.abs(scaled) < 999.5) return `${scaled.toPrecision(3)} ${unit}`;
  }
  return `${(number / 1e12).toPrecision(3)} T`;
}

/** A number beside an axis: "0", "500", "50 k". */
export function tick(number) {
  for (const [size, unit] of [
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ]) {
    if (number >= size) return `${Math.round((number / size) * 100) / 100}${unit}`;
  }
  return String(Math.round(number * 100) / 100);
}

export function bytes(number) {
  return number < 1e5 ? `${count(number)} B` : `${count(number)}B`;
}

/** Seconds in the one unit that fits: "0.3 s", "74 s", "12 min", "5 h", "3 d". */
export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 2 * MINUTE) return `${Math.round(seconds)} s`;
  if (seconds < 2 * HOUR) return `${Math.round(seconds / MINUTE)} min`;
  if (seconds < 2 * DAY) return `${Math.round(seconds / HOUR)} h`;
  return `${Math.round(seconds / DAY)} d`;
}

/** Seconds in the two largest units: "1 d 2 h". */
export function duration(seconds) {
  const parts = [];
  let rest = Math.floor(seconds);
  for (const [unit, size] of [
    ["d", DAY],
    ["h", HOUR],
    ["min", MINUTE],
    ["s", 1],
  ]) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount || parts.length) parts.push(`${amount} ${unit}`);
  }
  return (
    parts
      .slice(0, 2)
      .filter((part) => !part.startsWith("0 "))
      .join(" ") || "0 s"
  );
}

export function milliseconds(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const number = seconds * 1000;
  if (number >= 10_000) return `${seconds.toFixed(1)} s`;
  return `${number > 0 && number < 10 ? number.toFixed(1) : Math.round(number)} ms`;
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** The time of day of a moment, with its date when that is another day. */
export function moment(at, now = Date.now() / 1000) {
  const date = new Date(at * 1000);
  const isToday = date.toDateString() === new Date(now * 1000).toDateString();
  return (isToday ? clock : calendar).format(date);
}

export function plural(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** high_error_rate -> "High error rate" */
export function words(key) {
  const text = key.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
