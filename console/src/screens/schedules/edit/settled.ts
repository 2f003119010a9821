import { useEffect, useState } from "react";

const SETTLED_MS = 400;

/** A value as it is when nothing was typed for a moment: not each letter is a question. */
export function useSettled<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  const written = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(JSON.parse(written) as T), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [written]);
  return settled;
}
