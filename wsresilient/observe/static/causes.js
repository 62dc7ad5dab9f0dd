// Why connections end: the kinds that the library tells, gathered into the few that a plot shows.

import { age } from "./format.js";

export const CAUSES = [
  { name: "link lost", color: "--cause-lost", kinds: ["network", "timeout"] },
  { name: "closed by server", color: "--cause-closed", kinds: ["closed"] },
  { name: "silent", color: "--cause-silent", kinds: ["ping", "stalled"] },
  {
    name: "refused",
    color: "--cause-refused",
    kinds: ["handshake", "authentication", "tls", "proxy", "name", "configuration"],
  },
  { name: "protocol", color: "--cause-protocol", kinds: ["protocol", "too_big"] },
  { name: "planned", color: "--cause-planned", kinds: ["rotation", "requested", "stopped"] },
  // What other libraries report, and kinds that a later version may have.
  { name: "other", color: "--cause-other", kinds: ["reported"] },
];
const OTHER = CAUSES.at(-1);

const byKind = new Map(CAUSES.flatMap((cause) => cause.kinds.map((kind) => [kind, cause])));

export function causeOf(event) {
  return byKind.get(event.kind) ?? OTHER;
}

/** "closed, code 1001" */
export function kindOf(event) {
  const kind = String(event.kind ?? "unknown").replaceAll("_", " ");
  return event.close_code ? `${kind}, code ${event.close_code}` : kind;
}

/** "back after 1.2 s"; what was stopped on purpose is not waited for */
export function outcomeOf(event) {
  if (event.kind === "stopped") return "stopped";
  if (event.lasted === null || event.lasted === undefined) return "not back yet";
  return `back after ${age(event.lasted)}`;
}
