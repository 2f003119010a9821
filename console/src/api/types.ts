import type { components, paths } from "./v1";

/** Types of `openapi/v1.json` under the names that screens use. */
type Schemas = components["schemas"];
type Body<P extends keyof paths> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer B } } } };
}
  ? B
  : never;
type Item<P extends keyof paths> = Body<P> extends { items: (infer I)[] } ? I : never;

export type Who = Schemas["Who"];
export type Role = Schemas["Role"];
export type Status = Schemas["Status"];
export type Standing = Schemas["ResourceStanding"];
export type Health = Schemas["Health"];
export type Day = Schemas["Day"];
export type Warning = Schemas["Warning"];
export type Snapshot = Schemas["Snapshot"];
export type SnapshotItem = Schemas["SnapshotItem"];
export type SnapshotScope = Schemas["SnapshotScope"];
export type NewSnapshot = Schemas["NewSnapshot"];
export type ChangedSnapshot = Schemas["ChangedSnapshot"];
export type Run = Schemas["Run"];
export type RunKind = Schemas["RunKind"];
export type RunState = Schemas["RunState"];
export type LogLine = Schemas["LogLine"];
export type RestorePlan = Schemas["RestorePlan"];
export type NewRestore = Schemas["NewRestore"];
export type Restore = Schemas["Restore"];
export type Check = Schemas["Check"];
export type Entry = Schemas["Entry"];
export type Preview = Schemas["Preview"];
export type Difference = Schemas["Difference"];
export type Consistency = Schemas["Consistency"];
export type Kind = Schemas["Kind"];
export type StorageState = Schemas["StorageState"];
export type AuditEntry = Schemas["AuditEntry"];

export type Tenant = Item<"/api/v1/tenants">;
export type Resource = Item<"/api/v1/resources">;
export type Storage = Item<"/api/v1/storages">;
export type Profile = Item<"/api/v1/profiles">;
export type Connector = Item<"/api/v1/connectors">;
export type Agent = Item<"/api/v1/agents">;
export type User = Item<"/api/v1/users">;
export type Token = Item<"/api/v1/tokens">;
export type SyncRule = Item<"/api/v1/syncs">;

export type AsNew = Schemas["AsNew"];
export type PlannedItem = Schemas["PlannedItem"];
export type Verdict = Schemas["Verdict"];
export type RestoreStanding = Schemas["RestoreStanding"];
export type HostStanding = Schemas["HostStanding"];
export type EntryKind = Schemas["EntryKind"];
export type Change = Schemas["Change"];
export type DifferenceCounts = Schemas["DifferenceCounts"];
export type Partition = Schemas["Partition"];
export type Sighting = Schemas["Sighting"];
export type Sightings = Schemas["Sightings"];
export type WholeRestore = Schemas["WholeRestore"];
export type Version = Schemas["Version"];
export type Bundle = Schemas["Bundle"];
export type NewBundle = Schemas["NewBundle"];
export type Upload = Schemas["Upload"];
export type NewUpload = Schemas["NewUpload"];
export type NewImport = Schemas["NewImport"];
export type StorageKind = Schemas["StorageKind"];
export type KeySlot = Schemas["KeySlot"];
export type NewKeySlot = Schemas["NewKeySlot"];
export type Period = Schemas["Period"];
export type Frequency = Schemas["Frequency"];
export type Blackout = Schemas["Blackout"];
export type Weekday = Schemas["Weekday"];
export type ProfileSpec = Schemas["ProfileSpec"];
export type Scope = Schemas["Scope"];
export type PeriodPreview = Schemas["PeriodPreview"];
export type SnapshotPreview = Schemas["SnapshotPreview"];
export type ResourceSpec = Schemas["ResourceSpec"];
export type Hook = Schemas["Hook"];
export type FoundResource = Schemas["FoundResource"];
export type Session = Schemas["Session"];
