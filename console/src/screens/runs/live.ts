import { type QueryKey, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useEffectEvent } from "react";
import { run as runQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { useFollow } from "./follow";
import { isOver } from "./standing";

/** A run that was told as part of something, as it goes on; when it is over, that is asked for again. */
export function useLiveRun(told: Run, of: QueryKey, isOn = !isOver(told)): Run {
  const client = useQueryClient();
  useFollow(told.id, isOn);
  const { data } = useQuery({ ...runQuery(told.id), enabled: isOn });
  const isNews = isOn && data !== undefined && isOver(data);
  const askAgain = useEffectEvent(() => client.invalidateQueries({ queryKey: of }));
  useEffect(() => {
    if (isNews) askAgain();
  }, [isNews]);
  return isOn && data ? data : told;
}
