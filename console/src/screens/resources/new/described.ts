import type { FoundResource, ResourceSpec } from "../../../api/types";
import { readYaml } from "./yaml";

/** A resource that is to be added, and the host on which it lies. */
export interface Wanted {
  name: string;
  spec: ResourceSpec;
}

/** What discovery found, as it is added. */
export function wantedOf({ resource }: Pick<FoundResource, "resource">, agent: string): Wanted {
  const { name, ...spec } = resource as unknown as { name: string } & ResourceSpec;
  return { name, spec: { ...spec, is_protected: true, agent: agent || null } };
}

/** Descriptions as docs/resources.md has them, as JSON or YAML: a file, a list, or one alone. */
export function readDescribed(text: string): Wanted[] {
  const told = text.trim().startsWith("{") || text.trim().startsWith("[");
  const value = told ? (JSON.parse(text) as unknown) : readYaml(text);
  const listed =
    typeof value === "object" && value !== null && "resources" in value ? value.resources : value;
  const all = Array.isArray(listed) ? listed : [listed];
  return all.map((each: unknown) => {
    if (typeof each !== "object" || each === null || !("name" in each) || !("kind" in each)) {
      throw new SyntaxError("no name or kind");
    }
    const { name, ...spec } = each as { name: unknown } & ResourceSpec;
    return { name: String(name), spec: { ...spec, is_protected: spec.is_protected ?? true } };
  });
}
