/** So long an answer is as good as one that was asked for now. */
const KEPT_MS = 10_000;

const answers = new Map<string, Promise<Response>>();

/** What the overview asks for first (screens/overview/asks.ts), as the client writes it. */
export function addressesOf(zone: string): string[] {
  return [
    "/api/v1/status",
    "/api/v1/status/resources?limit=200",
    `/api/v1/status/days?zone=${encodeURIComponent(zone)}&days=14`,
    "/api/v1/storages?limit=1000",
    "/api/v1/profiles?limit=1000",
    "/api/v1/runs?limit=10",
    "/api/v1/runs?state=running&limit=10",
  ];
}

/** Asks while the code that will ask is still on its way; each answer is taken once. */
export const early = {
  begin(zone: string) {
    for (const address of addressesOf(zone)) {
      const answer = fetch(address, { credentials: "same-origin" });
      // Whoever takes it hears of it.
      answer.catch(() => undefined);
      answers.set(new URL(address, location.origin).href, answer);
    }
    setTimeout(() => answers.clear(), KEPT_MS);
  },
  take({ method, url }: Request): Promise<Response> | undefined {
    if (method !== "GET") return undefined;
    const answer = answers.get(url);
    answers.delete(url);
    return answer;
  },
};
