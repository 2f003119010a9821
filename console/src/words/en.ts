import { agents } from "./en/agents";
import { browse } from "./en/browse";
import { common } from "./en/common";
import { connectors } from "./en/connectors";
import { overview } from "./en/overview";
import { resources } from "./en/resources";
import { runs } from "./en/runs";
import { schedules } from "./en/schedules";
import { shell } from "./en/shell";
import { snapshots } from "./en/snapshots";
import { storages } from "./en/storages";
import { times } from "./en/times";

export const en = {
  ...common,
  ...shell,
  overview,
  snapshots,
  runs,
  browse,
  storages,
  schedules,
  resources,
  connectors,
  agents,
  times,
};
