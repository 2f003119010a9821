import { useEffect, useState } from "react";

const SETTLED_MS = 400;

/** A value as it is when nothing was typed for a moment: not each letter is a question. */
export function useSettled<T>(value: T, ms = SETTLED_MS): T {
  const [settled, setSettled] = useState(value);
  const written = JSON.stringify(value);
  useEffect(() => {
    const said = written === undefined ? undefined : JSON.parse(written);
    const timer = setTimeout(() => setSettled(said as T), ms);
    return () => clearTimeout(timer);
  }, [written, ms]);
  return settled;
}
