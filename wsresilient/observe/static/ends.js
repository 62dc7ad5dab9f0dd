// The connections that ended, newest first, each with its cause in words.

import { causeOf, kindOf, outcomeOf } from "./causes.js";
import { byId, element } from "./dom.js";
import { moment } from "./format.js";

const REMEMBERED = 5000,
  LISTED = 100;

/** All ends that are known of all connections. */
export class Ends {
  #events = new Map(); // by what makes one itself, so that it is there once
  #drawn = "";

  /** Take what a history has. */
  add(history) {
    for (const [connection, kinds] of Object.entries(history.connections)) {
      for (const event of kinds.events ?? []) {
        this.#events.set(`${event.at} ${connection}`, { ...event, connection });
      }
    }
    if (this.#events.size > REMEMBERED) {
      const newest = [...this.#events].sort((a, b) => b[1].at - a[1].at).slice(0, REMEMBERED);
      this.#events = new Map(newest);
    }
  }

  since(from) {
    return [...this.#events.values()].filter((event) => event.at >= from);
  }

  of(connection) {
    return [...this.#events.values()].filter((event) => event.connection === connection);
  }

  /** List those since a time. */
  show(from) {
    const events = this.since(from).sort((a, b) => b.at - a.at);
    const drawn = JSON.stringify(
      events.slice(0, LISTED).map((event) => [event.at, event.connection, event.lasted]),
    );
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const items = events.slice(0, LISTED).map(item);
    if (!items.length) items.push(element("li", { class: "empty" }, "None in this time."));
    byId("ends").replaceChildren(...items);
  }
}

function item(event) {
  const cause = causeOf(event);
  const outcome = event.kind === "stopped" ? "" : ` (${outcomeOf(event)})`;
  return element(
    "li",
    {},
    element("time", { datetime: new Date(event.at * 1000).toISOString() }, moment(event.at)),
    element("span", { class: "cause", "data-cause": cause.name }, kindOf(event)),
    element("strong", {}, event.connection),
    element("span", { class: "text" }, `${event.text}${outcome}`),
  );
}
