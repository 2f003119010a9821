import type { Words } from "../words";

/** What a command is about, as it is called on the command line, and the screen that is about the same. */
const SCREENS: Record<string, keyof Words["screens"]> = {
  snapshot: "snapshots",
  restore: "restore",
  storage: "storages",
  sync: "storages",
  resource: "resources",
  profile: "schedules",
  agent: "agents",
  connector: "connectors",
  tenant: "tenants",
  user: "users",
  token: "tokens",
};

/** The screen that does what a command does; none for what is done on a host. */
export const screenOf = (command: string): keyof Words["screens"] | undefined =>
  SCREENS[/^tintype ([a-z]+) [a-z]/.exec(command)?.[1] ?? ""];
