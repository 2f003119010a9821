import { useQuery } from "@tanstack/react-query";
import { standingOf } from "../../api/queries";
import type { Resource } from "../../api/types";
import { State } from "../../parts/state/State";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { HEALTHS } from "../overview/answer";
import { standingOfParts, type Told } from "./standing";

/** What the manager says of it. That it is to be protected is a wish, and nothing is green for that. */
export function Standing({ resource, told }: { resource: Resource; told: Told | undefined }) {
  const { resources: words, overview } = useWords();
  if (resource.spec.is_protected === false) return <State is="none">{words.off}</State>;
  if (!told) return <State is="none">{words.toBe}</State>;
  if (!told.last_good) return <State is="failed">{words.notYet}</State>;
  return (
    <State is={HEALTHS[told.health]}>
      {told.health !== "good" && `${overview.healths[told.health]}; `}
      {words.asOf} <When at={told.last_good} />
    </State>
  );
}

/** The same of one alone, which is asked for. */
export function StandingOfOne({ resource }: { resource: Resource }) {
  const isWhole = resource.spec.kind !== "application";
  const all = useQuery(standingOf(isWhole ? resource.name : "")).data?.items ?? [];
  const told = isWhole ? all.find(({ id }) => id === resource.id) : standingOfParts(resource, all);
  return <Standing resource={resource} told={told} />;
}
