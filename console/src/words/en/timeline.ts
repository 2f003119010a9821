import type { Span } from "../../screens/snapshots/timeline/timeline";

/** How long snapshots stay, as lines. */
export const timeline = {
  title: "From when to when",
  show: "Show",
  views: { list: "As a list", timeline: "On a timeline" },
  span: "Span",
  fitting: "As fits",
  spans: {
    7: "A week",
    31: "A month",
    92: "Three months",
    366: "A year",
    1100: "Three years",
    3660: "Ten years",
  } as Record<Span, string>,
  ago: {
    7: "a week ago",
    31: "a month ago",
    92: "3 months ago",
    366: "a year ago",
    1100: "3 years ago",
    3660: "10 years ago",
  } as Record<Span, string>,
  now: "now",
  ahead: {
    7: "in a week",
    31: "in a month",
    92: "in 3 months",
    366: "in a year",
    1100: "in 3 years",
    3660: "in 10 years",
  } as Record<Span, string>,
  key: "A line goes from when a snapshot was taken to when it goes. Its thick part is locked: nobody can delete it before. An arrow: it stays beyond this span, or for ever. The newest of a schedule and the last good one of each resource may stay longer.",
  taken: (at: string) => `Taken ${at}`,
  goes: (at: string) => `goes ${at}`,
  stays: "stays for ever",
  held: (why: string) => `held, because: ${why}`,
  locked: (at: string) => `locked until ${at}`,
};
