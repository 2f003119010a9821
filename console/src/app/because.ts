import { useWords } from "../words";
import { useIsLost } from "./live";

/** Why nothing may be changed now; nothing if it may. */
export function useBecause(): string | undefined {
  const { common } = useWords();
  return useIsLost() ? common.offline : undefined;
}
