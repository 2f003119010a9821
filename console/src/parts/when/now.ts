import { useSyncExternalStore } from "react";

/** One clock for everything that tells how long ago something was. */
const EVERY_MS = 30_000;
let now = new Date();
const heard = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(hear: () => void) {
  heard.add(hear);
  timer ??= setInterval(() => {
    now = new Date();
    for (const each of heard) each();
  }, EVERY_MS);
  return () => {
    heard.delete(hear);
    if (heard.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

const read = () => now;

export const useNow = (): Date => useSyncExternalStore(subscribe, read, read);
