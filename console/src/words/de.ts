import { agents } from "./de/agents";
import { browse } from "./de/browse";
import { common } from "./de/common";
import { connectors } from "./de/connectors";
import { overview } from "./de/overview";
import { resources } from "./de/resources";
import { runs } from "./de/runs";
import { schedules } from "./de/schedules";
import { shell } from "./de/shell";
import { snapshots } from "./de/snapshots";
import { storages } from "./de/storages";
import { times } from "./de/times";
import type { Words } from "./index";

export const de: Words = {
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
