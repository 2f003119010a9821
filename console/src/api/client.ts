import createClient, { type Middleware } from "openapi-fetch";
import { early } from "../app/early";
import { csrf } from "./csrf";
import { Problem } from "./problem";
import type { paths } from "./v1";

const CHANGES = new Set(["POST", "PUT", "PATCH", "DELETE"]);

const signed: Middleware = {
  onRequest({ request, schemaPath }) {
    if (!CHANGES.has(request.method)) return;
    if (schemaPath !== "/api/v1/login") request.headers.set("X-CSRF-Token", csrf.get());
    // A request that is sent again, because its answer was lost, is done once.
    if (request.method === "POST") request.headers.set("Idempotency-Key", crypto.randomUUID());
  },
};

export const api = createClient<paths>({
  baseUrl: location.origin,
  credentials: "same-origin",
  fetch: (request) => early.take(request) ?? fetch(request),
});
api.use(signed);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What was asked for, or the problem thrown. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await reached(answer);
  if (!response.ok) throw Problem.of(error, response.status);
  return data as T;
}

/** The same, with the version that goes into `If-Match` of a change. */
export async function askVersioned<T>(
  answer: Promise<Answer<T>>,
): Promise<{ data: T; tag: string }> {
  const { data, error, response } = await reached(answer);
  if (!response.ok) throw Problem.of(error, response.status);
  return { data: data as T, tag: response.headers.get("ETag") ?? "" };
}

async function reached<T>(answer: Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof TypeError) throw new Problem("offline", 0, "the manager does not answer");
    throw error;
  }
}
