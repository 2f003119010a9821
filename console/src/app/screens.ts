import { agents } from "../screens/agents/screen";
import { audit } from "../screens/audit/screen";
import { browse } from "../screens/browse/screen";
import { connectors } from "../screens/connectors/screen";
import { overview } from "../screens/overview/screen";
import { resources } from "../screens/resources/screen";
import { restore } from "../screens/restore/screen";
import { runs } from "../screens/runs/screen";
import { schedules } from "../screens/schedules/screen";
import { settings } from "../screens/settings/screen";
import { snapshots } from "../screens/snapshots/screen";
import { storages } from "../screens/storages/screen";
import { tenants } from "../screens/tenants/screen";
import { tokens } from "../screens/tokens/screen";
import { users } from "../screens/users/screen";

/** Every screen, in the order of the navigation. */
export const screens = [
  overview,
  snapshots,
  restore,
  browse,
  schedules,
  resources,
  runs,
  storages,
  agents,
  connectors,
  tenants,
  users,
  tokens,
  audit,
  settings,
] as const;
