import { hashKey, type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect } from "react";
import { see } from "./renew";

/** Says which rows of a long list are in sight: only these are kept as they are on the server. */
export function useSight(queryKey: QueryKey): (from: number, to: number) => void {
  const client = useQueryClient();
  const hash = hashKey(queryKey);
  useEffect(() => () => see(client, hash, undefined), [client, hash]);
  return useCallback((from, to) => see(client, hash, [from, to]), [client, hash]);
}
