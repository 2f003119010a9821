import type { QueryClient } from "@tanstack/react-query";
import { days, profiles, runs, standings, status, storages } from "../../api/queries";

/** So many days, and so many runs, are shown. */
export const DAYS = 14;
export const RUNS = 10;

/** Asked for while the code of the screen is still on its way; app/early.ts knows the same. */
export const asks = (client: QueryClient, zone: string): Promise<unknown> =>
  Promise.all([
    client.prefetchQuery(status()),
    client.prefetchQuery(storages),
    client.prefetchQuery(profiles),
    client.prefetchQuery(days(zone, DAYS)),
    client.prefetchInfiniteQuery(standings()),
    client.prefetchInfiniteQuery(runs({}, RUNS)),
    client.prefetchInfiniteQuery(runs({ state: "running" }, RUNS)),
  ]);
