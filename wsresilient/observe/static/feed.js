// Asking the process how its connections are, again and again, one question at a time.

const PATIENCE = 5000;
const EVERY = 1000,
  EVERY_HIDDEN = 15_000;
const HISTORY_EVERY = 3000;

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
  if (response.status === 401) throw new Error("the token is missing or wrong");
  if (!response.ok) throw new Error(`the answer was ${response.status}`);
  return response.json();
}

/** Ask for so many minutes of history, with so many points of each series. */
export function askHistory(minutes, points) {
  return ask(`history?minutes=${minutes}&points=${points}`);
}

/**
 * Ask for ever. What comes is given to `told.summary(summary, at)`, about every second, and to
 * `told.news(history)`, what is new in the history, every few seconds; `told.lost(error,
 * heardAt)` is called instead while there is no answer. Times are seconds of the process's wall
 * clock, which need not be the browser's.
 *
 * Returns a function that has the history asked for in the next turn.
 */
export function watch(told) {
  let skew = 0; // what the process's clock is ahead
  let newest = null; // up to when the history is known
  let heardAt = Date.now() / 1000;
  let historyDue = 0;
  let endPause = () => {};

  async function answers() {
    const summary = await ask("summary");
    if (Date.now() < historyDue) return [summary, null];
    historyDue = Date.now() + HISTORY_EVERY;
    return [
      summary,
      await ask(newest === null ? "history?minutes=1" : `history?since=${newest - 1}`),
    ];
  }

  async function turn() {
    let summary, history;
    try {
      [summary, history] = await answers();
    } catch (error) {
      told.lost(error, heardAt);
      return;
    }
    if (history !== null) {
      newest = history.at;
      skew = history.at - Date.now() / 1000;
    }
    heardAt = Date.now() / 1000 + skew;
    told.summary(summary, heardAt);
    if (history !== null) told.news(history);
  }

  async function loop() {
    for (;;) {
      const began = Date.now();
      await turn();
      const pause = document.hidden ? EVERY_HIDDEN : EVERY - (Date.now() - began);
      await new Promise((resolve) => {
        endPause = resolve;
        setTimeout(resolve, Math.max(200, pause));
      });
    }
  }

  document.addEventListener("visibilitychange", () => endPause());
  loop();
  return () => {
    historyDue = 0;
  };
}
