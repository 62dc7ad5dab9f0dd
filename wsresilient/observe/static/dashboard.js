// The page: asks the process how its connections are, and gives the answers to those who show them.

import { byId, choice, setAttribute, setText } from "./dom.js";
import { Ends } from "./ends.js";
import { askHistory, watch } from "./feed.js";
import { moment } from "./format.js";
import { Issues } from "./issues.js";
import { Overview } from "./overview.js";
import { Plots } from "./plots.js";
import { addUp, Live, pointOf } from "./series.js";
import { Table } from "./table.js";

const SPANS = 90; // of the past in a plot; a minute is the shortest that the history knows
const LIVE_POINTS = 450;
const SHORTEST_SPAN = 60;
const TRENDS_EVERY = 5000;

const overview = new Overview();
const issues = new Issues();
const ends = new Ends();
const plots = new Plots();
const table = new Table(ends);
const live = new Live();

const range = choice("range", () => {
  past = { minutes: 0, points: [], due: 0 };
  refreshPast();
});
let past = { minutes: 0, points: [], due: 0 };
let trendsDue = 0;
let now = Date.now() / 1000; // by the process's clock, at its latest answer
let uptime = 0;
let known = "";

const askForNews = watch({ summary: showSummary, news: showNews, lost: showLost });

function showSummary(summary, at) {
  now = at;
  uptime = summary.uptime;
  setAttribute(document.body, "data-feed", "live");
  setText(byId("feed"), "live");
  const point = pointOf(summary, at);
  live.add(point);
  overview.show(summary, point);
  table.update(summary.connections);
  drawPlots();
  if (Date.now() >= trendsDue) {
    trendsDue = Date.now() + TRENDS_EVERY;
    table.drawTrends(now, span(3600));
  }
  // Whoever has just been lost has a cause, and it should be there at once.
  const changed = fingerprint(summary);
  if (changed !== known) askForNews();
  known = changed;
  refreshPast();
}

/** What is another whenever a connection was lost or came back. */
function fingerprint(summary) {
  const each = Object.values(summary.connections);
  return each.map((stats) => `${stats.name} ${stats.is_healthy} ${stats.reconnect_count}`).join();
}

function showNews(history) {
  ends.add(history);
  table.addHistory(history);
  issues.show(history.issues);
  drawPlots();
}

function showLost(error, heardAt) {
  setAttribute(document.body, "data-feed", "lost");
  setText(byId("feed"), `no answer since ${moment(heardAt)}: ${error.message}; trying again`);
}

/** How many seconds to show: of a process that has just begun, not the time before it. */
function span(wanted) {
  return Math.min(wanted, Math.max(uptime, SHORTEST_SPAN));
}

function drawPlots() {
  const from = now - span(Number(range()) * 60);
  plots.showLines(live.after(past.points, from, (now - from) / LIVE_POINTS), from, now);
  plots.showEnds(ends.since(from), from, now);
  ends.show(from);
}

/** Ask for what was before the page was opened, as far back as the plots go. */
async function refreshPast() {
  const minutes = Number(range());
  if (past.minutes === minutes && Date.now() < past.due) return;
  past = { ...past, minutes, due: Date.now() + Math.max(60_000, (minutes * 60_000) / SPANS) };
  let history;
  try {
    history = await askHistory(Math.max(60, minutes), SPANS);
  } catch {
    past.due = Date.now() + 5000; // the feed tells that there is no answer
    return;
  }
  if (Number(range()) !== minutes) return; // asked for something else meanwhile
  ends.add(history);
  table.addHistory(history);
  past.points = addUp(history, Math.max(60, minutes), Math.min(SPANS, Math.max(60, minutes)));
  trendsDue = 0;
  drawPlots();
}
