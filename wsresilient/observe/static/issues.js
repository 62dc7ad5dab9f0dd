// What the library finds wrong, and what it proposes.

import { byId, element } from "./dom.js";
import { plural, words } from "./format.js";

const SHOWN = 3;

export class Issues {
  #said = "";

  /** Show {issue: [{connection, detail, suggestion, ...}]}. */
  show(issues) {
    // The details count seconds; drawing anew each time would close what a reader has opened.
    const found = Object.entries(issues).filter(([, entries]) => entries.length);
    const said = JSON.stringify(found);
    if (said === this.#said) return;
    this.#said = said;
    const open = new Set(
      [...byId("issues").querySelectorAll("details[open]")].map((details) => details.dataset.key),
    );
    byId("issues-panel").hidden = !found.length;
    byId("issues").replaceChildren(...found.map(([issue, entries]) => card(issue, entries, open)));
  }
}

function card(issue, entries, open) {
  const groups = Object.entries(Object.groupBy(entries, (found) => found.suggestion));
  return element(
    "article",
    { class: "issue" },
    element(
      "h3",
      {},
      words(issue),
      element("span", { class: "badge" }, plural(entries.length, "connection")),
    ),
    ...groups.flatMap(([suggestion, alike]) =>
      group(`${issue} ${suggestion}`, suggestion, alike, open),
    ),
  );
}

/** Those that need the same thing done, and what that is. */
function group(key, suggestion, entries, open) {
  const parts = [element("ul", {}, ...entries.slice(0, SHOWN).map(line))];
  if (entries.length > SHOWN) {
    const details = element(
      "details",
      { "data-key": key },
      element("summary", {}, `and ${entries.length - SHOWN} more`),
      element("ul", {}, ...entries.slice(SHOWN).map(line)),
    );
    details.open = open.has(key);
    parts.push(details);
  }
  return [...parts, element("p", { class: "suggestion" }, suggestion)];
}

function line(found) {
  return element("li", {}, element("strong", {}, found.connection), ` ${found.detail}`);
}
