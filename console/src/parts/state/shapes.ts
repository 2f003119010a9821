export type Standing = "good" | "attention" | "failed" | "none" | "running";

/** What is drawn in a square of 12: an element of SVG, and how it is. */
export type Drawn = readonly [name: "circle" | "path" | "rect", how: Record<string, string>];

const RING: Drawn = [
  "circle",
  { cx: "6", cy: "6", r: "4.2", fill: "none", stroke: "currentColor", "stroke-width": "1.6" },
];

export const SHAPES: Record<Standing, readonly Drawn[]> = {
  good: [["circle", { cx: "6", cy: "6", r: "5", fill: "currentColor" }]],
  attention: [["path", { d: "M6 .8 11.6 11H.4z", fill: "currentColor" }]],
  failed: [["rect", { x: "1", y: "1", width: "10", height: "10", fill: "currentColor" }]],
  none: [RING],
  running: [RING, ["path", { d: "M6 1.8a4.2 4.2 0 0 1 0 8.4z", fill: "currentColor" }]],
};
