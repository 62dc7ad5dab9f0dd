// The three plots, drawn by uPlot (a global of its own script).

import { CAUSES, causeOf } from "./causes.js";
import { byId, setAttribute } from "./dom.js";
import { count, milliseconds, moment, tick } from "./format.js";

/* global uPlot */

const SPANS = 60; // bars of the plot of ends
const minutes = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const seconds = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The same color, which must be of the form #rrggbb, seen through. */
function faded(name) {
  return () => `${color(name)}22`;
}

function timeOfDay(at, step) {
  return (step < 60 ? seconds : minutes).format(new Date(at * 1000));
}

function axis(format, size) {
  return {
    stroke: () => color("--muted"),
    grid: { stroke: () => color("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
    size,
    values: (_plot, values, _axis, _space, step) =>
      values.map((value) => (value === null ? "" : format(value, step))),
  };
}

function line(label, name, value, options = {}) {
  return {
    label,
    stroke: () => color(name),
    width: 2,
    spanGaps: false,
    points: { show: true, size: 4, filter: lonely },
    value: (_plot, number) => value(number),
    ...options,
  };
}

/** Points between two gaps, which no line shows. */
function lonely(plot, series) {
  const values = plot.data[series];
  const known = (index) => (values[index] ?? null) !== null;
  return [...values.keys()].filter((i) => known(i) && !known(i - 1) && !known(i + 1));
}

/** One plot that keeps the width of its place. */
class Plot {
  #place;
  #plot;
  #height;
  #resting;

  constructor(id, { series, height, format, bounds, resting }) {
    this.#place = byId(id);
    this.#height = height;
    this.#resting = resting;
    this.#plot = new uPlot(
      {
        width: this.#place.clientWidth || 300,
        height,
        cursor: { sync: { key: "time" }, points: { size: 7 }, drag: { x: false, y: false } },
        legend: { live: true },
        scales: { x: { time: true }, y: { range: bounds } },
        axes: [axis(timeOfDay, 28), axis(format, 58)],
        series: [
          { label: "at", value: (_plot, at) => (at === null ? "any time" : moment(at)) },
          ...series,
        ],
      },
      [[], ...series.map(() => [])],
      this.#place,
    );
    new ResizeObserver(() => this.#fit()).observe(this.#place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
      this.#plot.redraw(),
    );
  }

  #fit() {
    const width = this.#place.clientWidth;
    if (width > 0 && width !== this.#plot.width)
      this.#plot.setSize({ width, height: this.#height });
  }

  /** Show other data between two times, and say in a sentence what there is to see. */
  show(data, from, to, sentence) {
    this.#plot.batch(() => {
      this.#plot.setData(data, false);
      this.#plot.setScale("x", { min: from, max: to });
    });
    // Where nobody points, the legend tells what is at the end.
    if (this.#plot.cursor.left < 0) this.#plot.setLegend({ idx: this.#resting(data) }, false);
    setAttribute(this.#place, "aria-label", sentence);
  }
}

function last(data) {
  return data[0].length ? data[0].length - 1 : null;
}

function fromZero(_plot, _least, most) {
  return [0, most > 0 ? most * 1.15 : 1];
}

function wholeFromZero(_plot, _least, most) {
  return [0, Math.max(4, Math.ceil((most ?? 0) * 1.15))];
}

export class Plots {
  #rate = new Plot("plot-rate", {
    height: 190,
    resting: last,
    format: tick,
    bounds: fromZero,
    series: [line("messages a minute", "--accent", count, { fill: faded("--accent") })],
  });
  #rtt = new Plot("plot-rtt", {
    height: 190,
    resting: last,
    format: (value) => `${tick(value * 1000)} ms`,
    bounds: fromZero,
    series: [
      line("slowest", "--slow", milliseconds, { dash: [4, 3], width: 1.5 }),
      line("typical", "--accent", milliseconds, { fill: faded("--accent") }),
    ],
  });
  #ends = new Plot("plot-ends", {
    height: 150,
    resting: () => null,
    format: (value) => (Number.isInteger(value) ? String(value) : ""),
    bounds: wholeFromZero,
    series: bars((cause) => this.#totals[cause]),
  });
  #totals = CAUSES.map(() => 0);

  /** Draw lines through points ({at, rate, typical, worst}) between two times. */
  showLines(points, from, to) {
    const at = points.map((point) => point.at);
    const rates = points.map((point) => point.rate);
    const typical = points.map((point) => point.typical);
    const worst = points.map((point) => point.worst);
    this.#rate.show([at, rates], from, to, spoken("Messages a minute", rates, count));
    this.#rtt.show(
      [at, worst, typical],
      from,
      to,
      spoken("Typical ping round trip", typical, milliseconds),
    );
  }

  /** Draw how many connections ended of which cause. */
  showEnds(events, from, to) {
    const length = (to - from) / SPANS;
    const first = Math.floor(from / length); // spans stand still while time goes on
    const counts = CAUSES.map(() => new Array(SPANS + 2).fill(0));
    for (const event of events) {
      const span = Math.floor(event.at / length) - first;
      const number = CAUSES.indexOf(causeOf(event));
      if (span >= 0 && span < SPANS + 2) counts[number][span] += 1;
    }
    const at = counts[0].map((_, span) => (first + span + 0.5) * length);
    // Each bar stands on those of the later causes, so the first is the highest.
    const tops = counts.map((own, number) =>
      own.map((ends, span) => (ends ? sum(counts.slice(number), span) : null)),
    );
    this.#totals = counts.map((own) => own.reduce((total, ends) => total + ends, 0));
    this.#ends.show([at, ...tops], from, to, told(this.#totals));
  }
}

function sum(counts, span) {
  return counts.reduce((total, each) => total + each[span], 0);
}

/** Stacked bars: the highest are drawn first, and the lower ones over them. */
function bars(totalOf) {
  return CAUSES.map((cause, number) => ({
    label: cause.name,
    stroke: () => color(cause.color),
    fill: () => color(cause.color),
    paths: uPlot.paths.bars({ size: [0.7, 14], align: 0 }),
    points: { show: false },
    value: (plot, top, series, index) => {
      if (index === null) return String(totalOf(number));
      return top === null ? "0" : String(top - below(plot, series, index));
    },
  }));
}

function below(plot, series, index) {
  const lower = plot.data.slice(series + 1).map((tops) => tops[index]);
  return lower.find((top) => top !== null) ?? 0;
}

function told(totals) {
  const parts = CAUSES.flatMap((cause, number) =>
    totals[number] ? [`${cause.name}: ${totals[number]}`] : [],
  );
  return parts.length ? `Connections that ended: ${parts.join(", ")}` : "No connection ended";
}

function spoken(what, values, format) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return `${what}: no data yet`;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return `${what}: now ${format(known.at(-1))}, between ${format(least)} and ${format(most)}`;
}
