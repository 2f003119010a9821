import { agents } from "../screens/agents/screen";
import { connectors } from "../screens/connectors/screen";
import { overview } from "../screens/overview/screen";
import { resources } from "../screens/resources/screen";
import { runs } from "../screens/runs/screen";
import { schedules } from "../screens/schedules/screen";
import { snapshots } from "../screens/snapshots/screen";
import { storages } from "../screens/storages/screen";

/** Every screen, in the order of the navigation. */
export const screens = [
  overview,
  snapshots,
  schedules,
  resources,
  runs,
  storages,
  agents,
  connectors,
] as const;
