import { useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import { Problem } from "../../../api/problem";
import type { Wanted } from "./described";

export interface Outcome {
  name: string;
  /** Why it was not added. */
  problem?: Problem;
}

/** Adds one after the other; one that is refused does not keep the others out. */
export function useAdd(onDone?: (outcomes: Outcome[]) => unknown) {
  return useChange(
    ["resource", "status"],
    async (wanted: Wanted[]) => {
      const outcomes: Outcome[] = [];
      // Components are there before the application that names them.
      const order = [...wanted].sort((one, other) => rank(one) - rank(other));
      for (const body of order) {
        try {
          await ask(api.POST("/api/v1/resources", { body }));
          outcomes.push({ name: body.name });
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          outcomes.push({ name: body.name, problem: error });
        }
      }
      return outcomes;
    },
    onDone,
  );
}

const rank = ({ spec }: Wanted): number => (spec.kind === "application" ? 1 : 0);
