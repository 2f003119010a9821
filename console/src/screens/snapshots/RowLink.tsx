import { defaultStringifySearch, useRouter } from "@tanstack/react-router";
import type { MouseEvent, ReactNode } from "react";

/** Where the list of snapshots leads. */
export type Goal =
  | { to: "/snapshots/$id" | "/browse/$id"; params: { id: string } }
  | { to: "/restore/new"; search: { snapshot: string } };

export const addressOf = (goal: Goal): string =>
  "params" in goal
    ? goal.to.replace("$id", encodeURIComponent(goal.params.id))
    : `${goal.to}${defaultStringifySearch(goal.search)}`;

/**
 * A link in a list of a hundred thousand rows: unlike others it does not follow where one is, which for the
 * rows of one turn of the wheel takes longer than a frame.
 */
export function RowLink({ goal, children }: { goal: Goal; children: ReactNode }) {
  const router = useRouter();
  const go = (event: MouseEvent) => {
    const isElsewhere = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (event.button !== 0 || isElsewhere) return;
    event.preventDefault();
    router.navigate(goal);
  };
  return (
    <a href={addressOf(goal)} onPointerDown={() => router.preloadRoute(goal)} onClick={go}>
      {children}
    </a>
  );
}
