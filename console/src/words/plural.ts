/** `one` for exactly one, otherwise `many`. Both languages so far need no more. */
export const plural = (count: number, one: string, many: string): string =>
  count === 1 ? one : many;
