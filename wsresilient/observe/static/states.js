// How a connection's state is shown: a tone, a sign and a word, so that none hangs on colour alone.

const SIGNS = {
  connected: "●",
  connecting: "◐",
  reconnecting: "↻",
  failed: "✕",
  disconnected: "○",
};

/** "good", "warn", "bad" or "idle". */
export function toneOf(stats) {
  switch (stats.state) {
    case "connected":
      return stats.is_healthy ? "good" : "warn";
    case "connecting":
      return stats.generation > 1 || stats.retry_count > 0 ? "bad" : "warn";
    case "reconnecting":
    case "failed":
      return "bad";
    default:
      return "idle";
  }
}

export function signOf(stats) {
  return toneOf(stats) === "warn" && stats.state === "connected"
    ? "▲"
    : (SIGNS[stats.state] ?? "?");
}

export function wordOf(stats) {
  return stats.state === "connected" && !stats.is_healthy ? "silent" : stats.state;
}

/** Not well: it is meant to be up, or has given up, and is not healthy. */
export function isBad(stats) {
  return stats.state !== "disconnected" && !stats.is_healthy;
}
