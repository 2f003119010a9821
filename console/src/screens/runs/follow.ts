import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { runLog, run as runQuery } from "../../api/queries";
import type { LogLine, Run } from "../../api/types";
import { withLine } from "./lines";

/**
 * Follows a run that goes on, by a stream of its own: each line of its log once, and how far it is. The
 * browser goes on after the last line that it had when the connection was lost.
 */
export function useFollow(id: string, isOn: boolean) {
  const client = useQueryClient();
  useEffect(() => {
    if (!isOn) return;
    const source = new EventSource(`/api/v1/runs/${id}/events`);
    source.addEventListener("run", (event) => {
      client.setQueryData(runQuery(id).queryKey, JSON.parse(event.data) as Run);
    });
    source.addEventListener("log", (event) => {
      const line = JSON.parse(event.data) as LogLine;
      client.setQueryData(runLog(id).queryKey, (before) => withLine(before ?? [], line));
    });
    return () => source.close();
  }, [client, id, isOn]);
}
