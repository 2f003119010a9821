import { useSuspenseQuery } from "@tanstack/react-query";
import { whoami } from "../api/queries";
import type { Who } from "../api/types";
import { type May, may } from "./rights";

export interface Me extends Who {
  may: (what: May) => boolean;
  isSystem: boolean;
}

export function useWho(): Me {
  const { data } = useSuspenseQuery(whoami);
  return { ...data, may: (what) => may(data, what), isSystem: data.is_system ?? false };
}
