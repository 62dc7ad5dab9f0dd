// The first glance: one sentence, and the numbers of all connections together.

import { byId, element, setAttribute, setText } from "./dom.js";
import { count, duration, milliseconds, plural } from "./format.js";
import { isBad } from "./states.js";

const MARKS = { ok: "●", warning: "▲", critical: "✕" };

const TILES = [
  [
    "healthy",
    "Healthy",
    (summary) => `${summary.healthy_connections} / ${summary.active_connections}`,
  ],
  ["rate", "Messages a minute", (summary) => count(summary.messages_per_minute)],
  ["messages", "Messages in all", (summary) => count(summary.routing_stats.total_messages)],
  ["subscriptions", "Subscriptions", (summary) => count(summary.total_subscriptions)],
  ["ping", "Typical ping", (_summary, point) => milliseconds(point.typical)],
  ["reconnects", "Reconnects", (summary) => count(summary.routing_stats.reconnections)],
  ["errors", "Handler errors", (summary) => count(summary.routing_stats.callback_errors)],
];

export class Overview {
  #values = new Map();

  constructor() {
    for (const [key, title] of TILES) {
      const value = element("dd");
      this.#values.set(key, value);
      byId("tiles").append(element("div", {}, element("dt", {}, title), value));
    }
  }

  /** Show a summary; `point` is what {@link pointOf} makes of it. */
  show(summary, point) {
    setAttribute(byId("verdict"), "data-status", summary.status);
    setText(byId("headline"), headline(summary));
    setText(byId("subline"), `${words(summary)}watched for ${duration(summary.uptime)}`);
    for (const [key, , value] of TILES) setText(this.#values.get(key), value(summary, point));
    document.title = `${MARKS[summary.status] ?? "?"} wsresilient`;
  }
}

function headline(summary) {
  const active = summary.active_connections;
  const each = Object.values(summary.connections);
  const failed = each.filter((stats) => stats.state === "failed").length;
  const bad = each.filter(isBad).length;
  if (!active && !failed)
    return summary.total_connections ? "Nothing is running" : "No connections yet";
  if (!bad)
    return active === 1 ? "The connection is healthy" : `All ${active} connections are healthy`;
  if (failed === bad) return `${plural(failed, "connection")} failed`;
  const verb = bad === 1 ? "is" : "are";
  const rest = failed ? `, ${failed} of them failed` : "";
  return `${bad} of ${plural(active + failed, "connection")} ${verb} not well${rest}`;
}

function words(summary) {
  const each = Object.values(summary.connections);
  const stopped = each.filter((stats) => stats.state === "disconnected").length;
  return stopped ? `${stopped} stopped, ` : "";
}
