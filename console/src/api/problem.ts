import type { components } from "./v1";

type Told = components["schemas"]["Problem"];
export type Code = Told["code"] | "offline";

/** What the server refused, in its own words: what happened to what, and what to do next. */
export class Problem extends Error {
  readonly code: Code;
  readonly status: number;
  readonly cure: string | null;

  constructor(code: Code, status: number, detail: string, cure: string | null = null) {
    super(detail);
    this.name = "Problem";
    this.code = code;
    this.status = status;
    this.cure = cure;
  }

  static of(told: unknown, status: number): Problem {
    if (isTold(told)) return new Problem(told.code, status, told.detail, told.cure ?? null);
    return new Problem("internal", status, `the server answered with ${status}`);
  }

  /** Whether the same request may go through later. */
  get isPassing(): boolean {
    return this.code === "offline" || this.code === "unavailable";
  }
}

function isTold(value: unknown): value is Told {
  return typeof value === "object" && value !== null && "code" in value && "detail" in value;
}

/** What is not there is nothing; any other problem stays one. */
export function noneIfAbsent(error: unknown): null {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}
