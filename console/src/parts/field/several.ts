import { useRef } from "react";

export interface OneOf<T> {
  /** Stays with it whatever is written about it, and whatever goes before it. */
  key: number;
  one: T;
  change: (over: Partial<T>) => void;
  remove: () => void;
}

/** Things of a kind while they are written: nothing of their own tells them apart yet. */
export function useSeveral<T>(all: T[], onChange: (all: T[]) => void) {
  const keys = useRef<number[]>([]);
  const next = useRef(0);
  while (keys.current.length < all.length) keys.current.push(next.current++);
  const put = (at: number, over: Partial<T>) =>
    onChange(all.map((each, n) => (n === at ? { ...each, ...over } : each)));
  const remove = (at: number) => {
    keys.current = keys.current.filter((_, n) => n !== at);
    onChange(all.filter((_, n) => n !== at));
  };
  return {
    each: all.map(
      (one, at): OneOf<T> => ({
        key: keys.current[at] ?? at,
        one,
        change: (over) => put(at, over),
        remove: () => remove(at),
      }),
    ),
    add: (one: T) => onChange([...all, one]),
  };
}
