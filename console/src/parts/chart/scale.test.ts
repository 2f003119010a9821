import { expect, test } from "vitest";
import { areaOf, lineOf, scaleOf } from "./scale";

const points = [
  { at: new Date("2026-11-01T00:00:00Z"), value: 0 },
  { at: new Date("2026-11-02T00:00:00Z"), value: 50 },
  { at: new Date("2026-11-03T00:00:00Z"), value: 100 },
];

test("a line goes from the left edge to the right one", () => {
  const scale = scaleOf(points, undefined, 100, 105);
  expect(lineOf(points, scale)).toBe("M0 105L50 55L100 5");
  expect(areaOf(points, scale, 105)).toBe("M0 105L50 55L100 5L100 105L0 105Z");
});

test("a limit that is near is in the picture, one that is far is not", () => {
  expect(scaleOf(points, 200, 100, 100).top).toBeCloseTo(210);
  expect(scaleOf(points, 10_000, 100, 100).top).toBeCloseTo(105);
});

test("nothing is divided by nothing", () => {
  const one = [{ at: new Date(0), value: 0 }];
  expect(lineOf(one, scaleOf(one, undefined, 100, 100))).toBe("M0 100");
  expect(areaOf([], scaleOf(one, undefined, 100, 100), 100)).toBe("");
});
