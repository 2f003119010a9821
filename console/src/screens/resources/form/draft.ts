import type { Consistency, Kind, ResourceSpec } from "../../../api/types";
import { fieldsOf, linesOf, type Pair, pairsOf } from "./pairs";

export interface Part {
  resource: string;
  order: string;
  group: string;
}

/** What is being written about a resource. */
export interface Draft {
  name: string;
  kind: Kind;
  connector: string;
  through: string;
  agent: string;
  at: Pair[];
  tags: string;
  isProtected: boolean;
  consistency: Consistency | "";
  excludes: string;
  parts: Part[];
  /** What this form does not show stays as it is: hooks, version. */
  rest: Partial<ResourceSpec>;
}

export const DRAFT: Draft = {
  name: "",
  kind: "volume",
  connector: "files",
  through: "",
  agent: "",
  at: [{ key: "path", value: "" }],
  tags: "",
  isProtected: true,
  consistency: "",
  excludes: "",
  parts: [],
  rest: {},
};

export function draftOf(name: string, spec: ResourceSpec): Draft {
  const { kind, connector, through, agent, at, tags, is_protected, ...more } = spec;
  const { consistency, excludes, components, ...rest } = more;
  return {
    name,
    kind,
    connector: connector ?? "",
    through: through ?? "",
    agent: agent ?? "",
    at: pairsOf(at),
    tags: (tags ?? []).join(", "),
    isProtected: is_protected ?? true,
    consistency: consistency ?? "",
    excludes: (excludes ?? []).join("\n"),
    parts: (components ?? []).map((part) => ({
      resource: part.resource,
      order: part.order === null || part.order === undefined ? "" : String(part.order),
      group: part.group ?? "",
    })),
    rest,
  };
}

export function specOf(draft: Draft): ResourceSpec {
  const isApplication = draft.kind === "application";
  const excludes = linesOf(draft.excludes);
  return {
    ...draft.rest,
    kind: draft.kind,
    is_protected: draft.isProtected,
    tags: draft.tags.split(/[\s,]+/).filter(Boolean),
    consistency: draft.consistency || null,
    ...(isApplication
      ? { components: draft.parts.filter(({ resource }) => resource).map(componentOf) }
      : {
          ...(draft.connector && !draft.through && { connector: draft.connector }),
          ...(draft.through && { through: draft.through, connector: draft.connector }),
          agent: draft.agent || null,
          at: fieldsOf(draft.at) as NonNullable<ResourceSpec["at"]>,
          ...(excludes.length > 0 && { excludes }),
        }),
  };
}

function componentOf({ resource, order, group }: Part) {
  return {
    resource,
    ...(/^\d+$/.test(order) && { order: Number(order) }),
    ...(group && { group }),
  };
}
