import type { Storage, StorageKind } from "../../../api/types";

type Spec = Storage["spec"];

/** What is being written about a storage: fields of all kinds, so that none is lost on the way. */
export interface Draft {
  name: string;
  kind: StorageKind;
  path: string;
  mountPoint: string;
  bucket: string;
  account: string;
  container: string;
  prefix: string;
  endpoint: string;
  region: string;
  authority: string;
  isPathStyle: boolean;
  keyId: string;
  secret: string;
  agentKeyId: string;
  agentSecret: string;
  isDefault: boolean;
  isShared: boolean;
}

export const KINDS: readonly StorageKind[] = [
  "directory",
  "mounted",
  "s3",
  "google",
  "azure",
  "internal",
];

export const DRAFT: Draft = {
  name: "",
  kind: "directory",
  path: "",
  mountPoint: "",
  bucket: "",
  account: "",
  container: "",
  prefix: "",
  endpoint: "",
  region: "",
  authority: "",
  isPathStyle: false,
  keyId: "",
  secret: "",
  agentKeyId: "",
  agentSecret: "",
  isDefault: true,
  isShared: false,
};

const NEEDED: Record<StorageKind, readonly (keyof Draft)[]> = {
  internal: ["name"],
  directory: ["name", "path"],
  mounted: ["name", "path", "mountPoint"],
  s3: ["name", "bucket"],
  google: ["name", "bucket"],
  azure: ["name", "account", "container"],
};

/** Fields without which there is nothing to try. */
export const missing = (draft: Draft): (keyof Draft)[] =>
  NEEDED[draft.kind].filter((field) => draft[field] === "");

export const isCloud = (kind: StorageKind): boolean => ["s3", "google", "azure"].includes(kind);

export function urlOf(draft: Draft): string {
  switch (draft.kind) {
    case "internal":
      return "";
    case "directory":
    case "mounted":
      return draft.path.trim();
    case "s3":
      return `s3://${joined(draft.bucket, draft.prefix)}${asked(draft)}`;
    case "google":
      return `gs://${joined(draft.bucket, draft.prefix)}${asked(draft)}`;
    case "azure":
      return `azure://${joined(draft.account, draft.container, draft.prefix)}${asked(draft)}`;
  }
}

const joined = (...parts: string[]): string =>
  parts
    .map((part) => part.trim().replace(/^\/+|\/+$/g, ""))
    .filter(Boolean)
    .join("/");

function asked({ kind, endpoint, region, authority, isPathStyle }: Draft): string {
  const query = new URLSearchParams();
  if (endpoint.trim()) query.set("endpoint", endpoint.trim());
  if (kind === "s3" && region.trim()) query.set("region", region.trim());
  if (authority.trim()) query.set("ca", authority.trim());
  if (kind === "s3" && isPathStyle) query.set("path-style", "true");
  // These are text between marks; a colon and a slash need no mask and are read better without.
  const text = query.toString().replaceAll("%3A", ":").replaceAll("%2F", "/");
  return text && `?${text}`;
}

/** A key that is named; without a new secret the one that there is stays. */
export const keyOf = (id: string, secret: string): Spec["access_key"] =>
  id.trim() ? { id: id.trim(), ...(secret && { secret }) } : null;

export function specOf(draft: Draft): Spec {
  return {
    kind: draft.kind,
    url: urlOf(draft),
    ...(draft.kind === "mounted" && { mount_point: draft.mountPoint.trim() }),
    ...(isCloud(draft.kind) && {
      access_key: keyOf(draft.keyId, draft.secret),
      agent_access_key: keyOf(draft.agentKeyId, draft.agentSecret),
    }),
    is_default: draft.isDefault,
    is_shared: draft.isShared,
  };
}
