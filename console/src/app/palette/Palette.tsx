import { lazy, Suspense, useEffect, useState } from "react";
import { onOpenPalette } from "./open";

const LATER_MS = 4000;
const Finder = lazy(async () => ({ default: (await import("./Finder")).Finder }));

/** Waits for its keys. Whoever types on at once loses no letter: it is there already. */
export function Palette() {
  const [isOpen, setOpen] = useState(false);
  const [isWanted, setWanted] = useState(false);
  useEffect(() => {
    const open = () => setOpen(true);
    const pressed = (event: globalThis.KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      open();
    };
    window.addEventListener("keydown", pressed);
    const forget = onOpenPalette(open);
    return () => {
      window.removeEventListener("keydown", pressed);
      forget();
    };
  }, []);
  // What is on the screen comes first; then it is there before anybody wants it.
  useEffect(() => {
    const later = setTimeout(() => setWanted(true), LATER_MS);
    return () => clearTimeout(later);
  }, []);
  if (!isOpen && !isWanted) return null;
  return (
    <Suspense>
      <Finder isOpen={isOpen} onChange={setOpen} />
    </Suspense>
  );
}
