import { agents } from "./en/agents";
import { audit } from "./en/audit";
import { browse } from "./en/browse";
import { common } from "./en/common";
import { connectors } from "./en/connectors";
import { find } from "./en/find";
import { overview } from "./en/overview";
import { resources } from "./en/resources";
import { restore } from "./en/restore";
import { runs } from "./en/runs";
import { schedules } from "./en/schedules";
import { settings } from "./en/settings";
import { shell } from "./en/shell";
import { snapshots } from "./en/snapshots";
import { storages } from "./en/storages";
import { tenants } from "./en/tenants";
import { timeline } from "./en/timeline";
import { times } from "./en/times";
import { tokens } from "./en/tokens";
import { told } from "./en/told";
import { transfers } from "./en/transfers";
import { users } from "./en/users";

export const en = {
  ...common,
  ...shell,
  overview,
  snapshots,
  runs,
  browse,
  restore,
  transfers,
  storages,
  schedules,
  resources,
  settings,
  audit,
  tokens,
  users,
  tenants,
  connectors,
  agents,
  times,
  timeline,
  find,
  told,
};
