import { browse } from "../screens/browse/screen";
import { overview } from "../screens/overview/screen";
import { restore } from "../screens/restore/screen";
import { runs } from "../screens/runs/screen";
import { snapshots } from "../screens/snapshots/screen";

/** Every screen, in the order of the navigation. */
export const screens = [overview, snapshots, restore, browse, runs] as const;
