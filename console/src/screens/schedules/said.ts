import type { Period } from "../../api/types";
import { useWords } from "../../words";

/** When a period runs, in the language of whoever looks; in that of the server where nobody knows better. */
export function useSaid(): (period: Period | undefined, reading: string) => string {
  const { times } = useWords();
  return (period, reading) => {
    const said = period && times.says(period.frequency);
    return said ? `${said}, ${period.time_zone ?? "UTC"}` : times.reads(reading);
  };
}
