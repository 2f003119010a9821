import { browse } from "./en/browse";
import { common } from "./en/common";
import { overview } from "./en/overview";
import { restore } from "./en/restore";
import { runs } from "./en/runs";
import { shell } from "./en/shell";
import { snapshots } from "./en/snapshots";
import { transfers } from "./en/transfers";

export const en = { ...common, ...shell, overview, snapshots, runs, browse, restore, transfers };
