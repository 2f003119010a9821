import { text } from "../app/search";

/** What is looked for in all snapshots, as it stands in the address. */
export interface Wanted {
  q?: string;
  /** Only at or below this path. */
  path?: string;
  resource?: string;
  tenant?: string;
}

export const wantedOf = (search: Record<string, unknown>): Wanted => ({
  q: text(search.q),
  path: text(search.path),
  resource: text(search.resource),
  tenant: text(search.tenant),
});

/** With a star, a question mark or a bracket it is a pattern, otherwise a part of the path. */
export const namedBy = (typed: string): { pattern: string } | { contains: string } =>
  /[*?[]/.test(typed) ? { pattern: typed } : { contains: typed };
