import { useMutation, useQueryClient } from "@tanstack/react-query";

/**
 * A change on the server. What shows something of these kinds is asked for again when it is done, and not
 * before whoever waits for it has gone where he is led: what was deleted is not asked for again.
 */
export function useChange<Given, Answer>(
  kinds: readonly string[],
  change: (given: Given) => Promise<Answer>,
  onDone?: (answer: Answer, given: Given) => unknown,
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: async (answer, given) => {
      await onDone?.(answer, given);
      for (const kind of kinds) client.invalidateQueries({ queryKey: [kind] });
    },
  });
}

/** What somebody else changed meanwhile is not overwritten. */
export const unchanged = ({ version }: { version: number }) => ({ "If-Match": `"${version}"` });

/** A period within a new object is described as any object; what is sent is typed before that. */
export const sent = (spec: object) => spec as never;
