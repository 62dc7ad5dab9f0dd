// One connection in the table: its cells, its little plot, and its details when they are open.

import { kindOf, outcomeOf } from "./causes.js";
import { drawing, element, setAttribute, setText } from "./dom.js";
import { age, bytes, count, duration, milliseconds, moment } from "./format.js";
import { isBad, signOf, toneOf, wordOf } from "./states.js";

const TREND_SPAN = 3600; // seconds
const TREND_STEP = 30; // seconds between points; a minute that is running gives many
const TREND_WIDTH = 100,
  TREND_HEIGHT = 24;

const TONES = ["bad", "warn", "good", "idle"];

/** The columns: what stands above, what is shown, and what they are sorted by. */
export const COLUMNS = [
  { key: "state", title: "State", by: (stats) => TONES.indexOf(toneOf(stats)) },
  { key: "name", title: "Connection", by: (stats) => stats.name },
  { key: "trend", title: "Last hour", by: null },
  number("messages_per_minute", "Messages a minute", count),
  number("last_message_age", "Last message", age),
  number("ping_rtt", "Ping", milliseconds),
  number("reconnect_count", "Reconnects", count),
  number("errors", "Errors", count, (stats) => stats.error_count + stats.callback_errors),
  number("quality_score", "Quality", count),
];

function number(key, title, format, read = (stats) => stats[key]) {
  return { key, title, format, read, by: read, numeric: true };
}

export class Row {
  stats = null;
  #cells = {};
  #trend = [];
  #path = drawing("path", { "vector-effect": "non-scaling-stroke" });
  #toggle;
  #details = null;

  /** `opened(row)` is called when somebody opens its details. */
  constructor(name, opened) {
    this.name = name;
    this.#toggle = element("button", { type: "button", "aria-expanded": "false" }, name);
    this.#toggle.addEventListener("click", () => {
      if (this.isOpen) this.close();
      else opened(this);
    });
    this.node = element("tr", { role: "row" }, ...COLUMNS.map((column) => this.#cell(column)));
  }

  #cell({ key, title, numeric }) {
    const cell = element("td", {
      role: "cell",
      class: `${key}${numeric ? " number" : ""}`,
      "data-label": title,
    });
    if (key === "state") {
      this.#cells.sign = element("span", { class: "sign", "aria-hidden": "true" });
      this.#cells.word = element("span");
      cell.append(this.#cells.sign, this.#cells.word);
    } else if (key === "name") {
      this.#cells.error = element("p", { class: "error" });
      cell.append(this.#toggle, this.#cells.error);
    } else if (key === "trend") {
      cell.append(
        drawing(
          "svg",
          {
            viewBox: `0 0 ${TREND_WIDTH} ${TREND_HEIGHT}`,
            preserveAspectRatio: "none",
            "aria-hidden": "true",
          },
          this.#path,
        ),
      );
    } else if (key === "quality_score") {
      this.#cells.bar = element("i", { "aria-hidden": "true" });
      this.#cells[key] = element("span");
      cell.append(this.#cells[key], element("span", { class: "bar" }, this.#cells.bar));
    } else {
      this.#cells[key] = cell;
    }
    return cell;
  }

  /** Show other stats. */
  update(stats) {
    this.stats = stats;
    const cells = this.#cells;
    setAttribute(this.node, "data-tone", toneOf(stats));
    setAttribute(this.node, "data-state", stats.state);
    setText(cells.sign, signOf(stats));
    setText(cells.word, wordOf(stats));
    setText(cells.error, isBad(stats) ? stats.last_error : "");
    for (const { key, format, read } of COLUMNS) {
      if (format) setText(cells[key], format(read(stats)));
    }
    const quality = `${stats.quality_score}%`;
    if (cells.bar.style.width !== quality) cells.bar.style.width = quality;
    setAttribute(
      cells.bar,
      "data-tone",
      stats.quality_score < 60 ? "bad" : stats.quality_score < 85 ? "warn" : "good",
    );
  }

  /** Add points [wall clock, messages a minute] to its little plot. */
  addTrend(points) {
    if (!points.length) return;
    const kept = [];
    for (const point of [...this.#trend, ...points].sort((a, b) => a[0] - b[0])) {
      if (kept.length > 1 && kept.at(-1)[0] - kept.at(-2)[0] < TREND_STEP) kept.pop();
      kept.push(point);
    }
    const newest = kept.at(-1)[0];
    this.#trend = kept.filter(([at]) => at > newest - TREND_SPAN);
  }

  /** Draw the little plot of so many seconds, with the rate of this moment at its end. */
  drawTrend(now, span) {
    const past = this.#trend.filter(([at]) => at >= now - span);
    const points = [...past, [now, this.stats.messages_per_minute]];
    const most = Math.max(...points.map(([, rate]) => rate), 1);
    const d = points.map(([at, rate], index) => {
      const x = TREND_WIDTH * (1 - (now - at) / span);
      const y = TREND_HEIGHT - 2 - (TREND_HEIGHT - 4) * (rate / most);
      return `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    setAttribute(this.#path, "d", d.join(""));
  }

  /** Whether it has this text in its name, state or latest error. */
  matches(text) {
    const { state, last_error: error } = this.stats;
    return `${this.name} ${wordOf(this.stats)} ${state} ${error}`.toLowerCase().includes(text);
  }

  // Its details are a row of their own below it.

  get isOpen() {
    return this.#details !== null;
  }

  /** Open the details; returns their row, which belongs behind this one. */
  open(ends) {
    this.#details = element("tr", { role: "row", class: "details" });
    this.#toggle.setAttribute("aria-expanded", "true");
    this.showDetails(ends);
    return this.#details;
  }

  close() {
    this.#details?.remove();
    this.#details = null;
    this.#toggle.setAttribute("aria-expanded", "false");
  }

  get detailsNode() {
    return this.#details;
  }

  /** Draw the details anew. */
  showDetails(ends) {
    const facts = factsOf(this.stats).flatMap(([name, text]) => [
      element("dt", {}, name),
      element("dd", {}, text),
    ]);
    const latest = ends.sort((a, b) => b.at - a.at).slice(0, 5);
    const list = latest.map((end) =>
      element("li", {}, `${moment(end.at)} – ${kindOf(end)}, ${outcomeOf(end)}: ${end.text}`),
    );
    this.#details.replaceChildren(
      element(
        "td",
        { role: "cell", colspan: COLUMNS.length },
        element("dl", {}, ...facts),
        ...(list.length
          ? [element("h3", {}, "How it ended, lately"), element("ul", {}, ...list)]
          : []),
      ),
    );
  }
}

function factsOf(stats) {
  return [
    ["Address", stats.url || "not known"],
    ["Peer", stats.address ? String(stats.address) : "–"],
    [
      "Connected",
      stats.connect_time === null ? "no" : `for ${duration(stats.connection_duration)}`,
    ],
    ["Subscriptions", count(stats.subscribed_pairs)],
    ["Received", `${count(stats.message_count)} messages, ${bytes(stats.bytes_received)}`],
    ["Waiting for the handler", count(stats.queue_depth)],
    ["Dropped", count(stats.dropped_messages)],
    ["Failures", count(stats.error_count)],
    ["Handler errors", count(stats.callback_errors)],
    ["Attempts since it was well", count(stats.retry_count)],
    ["Latest error", stats.last_error || "none"],
  ];
}
