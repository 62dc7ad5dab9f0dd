// All connections: the table with its filter, search and order, and the field of squares above it.

import { byId, choice, element, setAttribute, setText } from "./dom.js";
import { COLUMNS, Row } from "./row.js";
import { isBad, toneOf, wordOf } from "./states.js";

const FILTERS = {
  all: () => true,
  bad: isBad,
  stopped: (stats) => stats.state === "disconnected",
};

export class Table {
  #rows = new Map();
  #squares = new Map();
  #sortedBy = null; // a column, or null: what is not well first
  #isDescending = false;
  #ends;
  #filter = choice("filter", () => this.#arrange());

  constructor(ends) {
    this.#ends = ends;
    byId("search").addEventListener("input", () => this.#arrange());
    byId("columns").append(...COLUMNS.map((column) => this.#heading(column)));
    byId("fleet").addEventListener("click", (event) => this.#find(event.target.dataset.name));
  }

  #heading(column) {
    const heading = element("th", {
      role: "columnheader",
      scope: "col",
      class: `${column.key}${column.numeric ? " number" : ""}`,
    });
    if (!column.by) {
      heading.append(column.title);
      return heading;
    }
    const button = element("button", { type: "button" }, column.title);
    button.addEventListener("click", () => this.#sortBy(column));
    heading.append(button);
    return heading;
  }

  /** Show other stats of all connections. */
  update(connections) {
    for (const [name, stats] of Object.entries(connections)) {
      const row = this.#rows.get(name) ?? this.#add(name);
      row.update(stats);
      const square = this.#squares.get(name);
      setAttribute(square, "data-tone", toneOf(stats));
      setAttribute(square, "title", `${name}: ${wordOf(stats)}`);
      if (row.isOpen) row.showDetails(this.#ends.of(name));
    }
    for (const name of this.#rows.keys()) {
      if (!Object.hasOwn(connections, name)) this.#remove(name);
    }
    byId("fleet").hidden = this.#rows.size < 2;
    const all = Object.values(connections);
    for (const [name, belongs] of Object.entries(FILTERS)) {
      setText(byId(`count-${name}`), String(all.filter(belongs).length));
    }
    this.#arrange();
  }

  /** Add what a history has to the little plots. */
  addHistory(history) {
    for (const [name, kinds] of Object.entries(history.connections)) {
      this.#rows.get(name)?.addTrend(kinds.rates ?? []);
    }
  }

  drawTrends(now, span) {
    for (const row of this.#rows.values()) row.drawTrend(now, span);
  }

  #add(name) {
    const row = new Row(name, (opened) => opened.node.after(opened.open(this.#ends.of(name))));
    this.#rows.set(name, row);
    const square = element("span", { "data-name": name });
    this.#squares.set(name, square);
    byId("fleet").append(square);
    return row;
  }

  #remove(name) {
    const row = this.#rows.get(name);
    row.close();
    row.node.remove();
    this.#squares.get(name).remove();
    this.#rows.delete(name);
    this.#squares.delete(name);
  }

  #sortBy(column) {
    if (this.#sortedBy !== column) {
      this.#sortedBy = column;
      this.#isDescending = Boolean(column.numeric); // who sorts by a number looks for the most
    } else if (this.#isDescending === Boolean(column.numeric)) {
      this.#isDescending = !this.#isDescending;
    } else {
      this.#sortedBy = null;
    }
    byId("columns")
      .querySelectorAll("th")
      .forEach((heading, index) => {
        const direction = this.#isDescending ? "descending" : "ascending";
        setAttribute(heading, "aria-sort", COLUMNS[index] === this.#sortedBy ? direction : null);
      });
    this.#arrange();
  }

  /** Put the rows in order, and hide those that are not asked for. */
  #arrange() {
    const text = byId("search").value.trim().toLowerCase();
    const belongs = FILTERS[this.#filter()];
    let visible = 0;
    for (const row of this.#rows.values()) {
      const isShown = belongs(row.stats) && (!text || row.matches(text));
      visible += isShown;
      if (row.node.hidden === isShown) row.node.hidden = !isShown;
      if (row.isOpen && row.detailsNode.hidden === isShown) row.detailsNode.hidden = !isShown;
    }
    this.#order();
    setText(
      byId("empty"),
      this.#rows.size ? "No connection is like that." : "There is no connection yet.",
    );
    byId("empty").hidden = visible > 0;
  }

  #order() {
    const rows = [...this.#rows.values()];
    const wanted = rows
      .flatMap((row, index) => [[row, index]])
      .sort(([a, i], [b, j]) => this.#compare(a, b) || i - j);
    const nodes = wanted.flatMap(([row]) =>
      row.isOpen ? [row.node, row.detailsNode] : [row.node],
    );
    const body = byId("rows");
    if (nodes.some((node, index) => body.children[index] !== node)) body.replaceChildren(...nodes);
  }

  #compare(a, b) {
    if (!this.#sortedBy) return Number(isBad(b.stats)) - Number(isBad(a.stats));
    const [left, right] = [this.#sortedBy.by(a.stats), this.#sortedBy.by(b.stats)];
    if (left === right) return 0;
    if (left === null || left === undefined) return 1; // nothing known: last, in either direction
    if (right === null || right === undefined) return -1;
    return (left < right ? -1 : 1) * (this.#isDescending ? -1 : 1);
  }

  /** Go to a connection, whatever was filtered. */
  #find(name) {
    const row = this.#rows.get(name);
    if (!row) return;
    if (row.node.hidden) {
      byId("search").value = "";
      byId("filter").querySelector("input").checked = true;
      this.#arrange();
    }
    row.node.scrollIntoView({ block: "center" });
    row.node.querySelector("button").focus({ preventScroll: true });
  }
}
