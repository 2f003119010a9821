import { browse } from "./de/browse";
import { common } from "./de/common";
import { overview } from "./de/overview";
import { restore } from "./de/restore";
import { runs } from "./de/runs";
import { shell } from "./de/shell";
import { snapshots } from "./de/snapshots";
import { transfers } from "./de/transfers";
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
};
