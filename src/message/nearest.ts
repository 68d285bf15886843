/** The names that a misspelt one may have meant. Loaded only when there is one. */
import { distance } from "fastest-levenshtein";

const NAMES_MOST = 3;
/** Longer ones are not typing slips of one another, and the distance costs the product of the lengths. */
const LENGTH_MOST = 80;

/** The nearest candidates, best first, at most three: within a third of the name's length (at least 2) of edits. */
export function nearest(given: string, candidates: readonly string[]): string[] {
  if (given.length > LENGTH_MOST) return [];
  const most = Math.max(2, Math.floor(given.length / 3));
  return candidates
    .map((name) => ({ name, edits: name.startsWith(given) && given.length > 2 ? 1 : distance(given, name) }))
    .filter(({ edits }) => edits <= most)
    .sort((a, b) => a.edits - b.edits || (a.name < b.name ? -1 : 1))
    .slice(0, NAMES_MOST)
    .map(({ name }) => name);
}
