import { expect, test } from "vitest";
import { screenOf } from "./wayTo";

test.each([
  ["tintype storage add", "storages"],
  ["tintype sync apply", "storages"],
  ["tintype snapshot create --full", "snapshots"],
  ["tintype profile ready-made", "schedules"],
  ["tintype agent token", "agents"],
  ["tintype agent --manager localhost:8443", undefined],
  ["tintype recover --from URL", undefined],
  ["tintype discover --clean --all", undefined],
  ["mount /srv/nas", undefined],
])("%s is done on screen %s", (command, screen) => {
  expect(screenOf(command)).toBe(screen);
});
