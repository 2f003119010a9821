import { expect, test } from "vitest";
import { bandwidthOf, limitsOf } from "./windows";

const window = { days: ["monday" as const], from: "08:00", to: "18:00", rate: "20MiB" };

test("limits are written as they were read", () => {
  const limits = { zone: "Europe/Berlin", windows: [window] };
  expect(limitsOf(bandwidthOf(limits))).toEqual(limits);
});

test("without windows there is no limit", () => {
  expect(bandwidthOf({ zone: "UTC", windows: [] })).toBeNull();
  expect(limitsOf(null)).toEqual({ zone: "UTC", windows: [] });
});
