import { useQuery } from "@tanstack/react-query";
import { standingOf } from "../../api/queries";
import type { Resource } from "../../api/types";
import { State } from "../../parts/state/State";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { HEALTHS } from "../overview/answer";

/** What the manager says of it. That it is to be protected is a wish, and nothing is green for that. */
export function Standing({ resource }: { resource: Resource }) {
  const { resources: words, overview } = useWords();
  const found = useQuery(standingOf(resource.name)).data;
  const known = found?.items.find(({ id }) => id === resource.id);
  if (resource.spec.is_protected === false) return <State is="none">{words.off}</State>;
  if (!known) return <State is="none">{words.toBe}</State>;
  if (!known.last_good) return <State is="failed">{words.notYet}</State>;
  return (
    <State is={HEALTHS[known.health]}>
      {known.health !== "good" && `${overview.healths[known.health]}; `}
      {words.asOf} <When at={known.last_good} />
    </State>
  );
}
