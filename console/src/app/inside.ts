/**
 * Whether whoever opens this was inside the last time. Only then all of the console is loaded before the
 * server says who he is; others see the door at once.
 */
const KEY = "tintype.inside";

export const inside = {
  isLikely: () => localStorage.getItem(KEY) !== null,
  expect: () => localStorage.setItem(KEY, "yes"),
  forget: () => localStorage.removeItem(KEY),
};
