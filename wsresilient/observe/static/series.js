// From the histories of many connections to a few lines that can be drawn.

const LIVE_SPAN = 3600; // seconds that the page remembers of what it saw itself

export function median(sorted) {
  if (!sorted.length) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** What one summary says about all connections: a point of each line. */
export function pointOf(summary, at) {
  const rtts = [];
  for (const stats of Object.values(summary.connections)) {
    if (stats.ping_rtt !== null) rtts.push(stats.ping_rtt);
  }
  rtts.sort((a, b) => a - b);
  return {
    at,
    rate: summary.messages_per_minute,
    typical: median(rtts),
    worst: rtts.length ? rtts[rtts.length - 1] : null,
  };
}

/**
 * Add the histories of all connections up, in spans of equal length.
 *
 * A span in which a connection has no point gets nothing from it; one without any point is left
 * out, and so is the last, which is not over.
 */
export function addUp(history, minutes, spans) {
  const length = (minutes * 60) / spans;
  const first = Math.floor((history.at - minutes * 60) / length) + 1;
  const rates = Array.from({ length: spans }, () => null);
  const rtts = Array.from({ length: spans }, () => []);
  for (const kinds of Object.values(history.connections)) {
    for (const [span, mean] of means(kinds.rates, first, length, spans)) {
      rates[span] = (rates[span] ?? 0) + mean;
    }
    for (const [span, mean] of means(kinds.rtt, first, length, spans)) rtts[span].push(mean);
  }
  const points = rates.slice(0, -1).map((rate, span) => {
    const sorted = rtts[span].sort((a, b) => a - b);
    const at = (first + span + 0.5) * length;
    return { at, rate, typical: median(sorted), worst: sorted.at(-1) ?? null };
  });
  return points.filter((point) => point.rate !== null || point.typical !== null);
}

function means(points, first, length, spans) {
  const sums = new Map();
  for (const [at, value] of points ?? []) {
    const span = Math.floor(at / length) - first;
    if (span < 0 || span >= spans || value === null) continue;
    const [total, number] = sums.get(span) ?? [0, 0];
    sums.set(span, [total + value, number + 1]);
  }
  return [...sums].map(([span, [total, number]]) => [span, total / number]);
}

/** The points that the page has seen itself, one a second. */
export class Live {
  #points = [];

  add(point) {
    this.#points.push(point);
    while (this.#points[0].at < point.at - LIVE_SPAN) this.#points.shift();
  }

  /** Put them behind what the history knows, not more than one in each `step` seconds. */
  after(past, since, step) {
    const began = this.#points[0]?.at ?? Infinity;
    const points = past.filter((point) => point.at >= since && point.at < began);
    let last = -1;
    for (const point of this.#points) {
      if (point.at < since) continue;
      const number = Math.floor(point.at / step);
      if (number === last) points.pop();
      points.push(point);
      last = number;
    }
    return points;
  }
}
