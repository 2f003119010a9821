import { agents } from "./de/agents";
import { audit } from "./de/audit";
import { browse } from "./de/browse";
import { common } from "./de/common";
import { connectors } from "./de/connectors";
import { find } from "./de/find";
import { overview } from "./de/overview";
import { resources } from "./de/resources";
import { restore } from "./de/restore";
import { runs } from "./de/runs";
import { schedules } from "./de/schedules";
import { settings } from "./de/settings";
import { shell } from "./de/shell";
import { snapshots } from "./de/snapshots";
import { storages } from "./de/storages";
import { tenants } from "./de/tenants";
import { timeline } from "./de/timeline";
import { times } from "./de/times";
import { tokens } from "./de/tokens";
import { told } from "./de/told";
import { transfers } from "./de/transfers";
import { users } from "./de/users";
import type { Words } from "./index";

export const de: Words = {
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
