import type { QueryClient } from "@tanstack/react-query";
import { whoami } from "./queries";
import { askAgain } from "./renew";

/**
 * One stream tells what changed; it carries no data. Whatever is known of the kind that changed is asked
 * for again if it is on the screen. After a gap that the server cannot fill, everything is.
 */
export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "lost"; since: Date };

const URL = "/api/v1/events";
const TRY_AGAIN_MS = 3000;
/** Changes come in bursts: one question for each kind and burst. */
const GATHER_MS = 250;

interface Change {
  kind: string;
  id: string;
}

/** What shows something of a kind beside what is kept under its own key. */
const ALSO: Record<string, string[]> = {
  snapshot: ["status", "storage", "run"],
  run: ["status", "restore"],
  restore: ["run"],
  resource: ["status"],
  storage: ["status"],
  profile: ["status"],
};

export class Live {
  #connection: Connection = { state: "connecting" };
  #heard = new Set<() => void>();
  #source: EventSource | undefined;
  #waiting = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #client: QueryClient;

  constructor(client: QueryClient) {
    this.#client = client;
  }

  get connection(): Connection {
    return this.#connection;
  }

  subscribe = (heard: () => void): (() => void) => {
    this.#heard.add(heard);
    return () => this.#heard.delete(heard);
  };

  start(): () => void {
    this.#open();
    return () => {
      clearTimeout(this.#timer);
      this.#source?.close();
      this.#source = undefined;
    };
  }

  #open() {
    const source = new EventSource(URL);
    this.#source = source;
    source.onopen = () => {
      // What changed while nothing was heard is unknown, unless the server can say it.
      if (this.#connection.state === "lost") askAgain(this.#client);
      this.#become({ state: "live" });
    };
    source.onerror = () => {
      if (this.#connection.state !== "lost") this.#become({ state: "lost", since: new Date() });
      if (source.readyState !== EventSource.CLOSED) return;
      // It answered, and refused: perhaps the session has ended.
      this.#client.invalidateQueries({ queryKey: whoami.queryKey });
      setTimeout(() => this.#source === source && this.#open(), TRY_AGAIN_MS);
    };
    source.addEventListener("change", (event) => this.#changed(JSON.parse(event.data) as Change));
    source.addEventListener("reset", () => askAgain(this.#client));
  }

  #changed({ kind }: Change) {
    for (const key of [kind, ...(ALSO[kind] ?? [])]) this.#waiting.add(key);
    this.#timer ??= setTimeout(() => {
      const keys = [...this.#waiting];
      this.#waiting.clear();
      this.#timer = undefined;
      for (const key of keys) askAgain(this.#client, [key]);
    }, GATHER_MS);
  }

  #become(connection: Connection) {
    this.#connection = connection;
    for (const heard of this.#heard) heard();
  }
}
