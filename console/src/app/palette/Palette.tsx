import { lazy, Suspense, useEffect, useState } from "react";
import { onOpenPalette } from "./open";

const Finder = lazy(() => import("./Finder").then(({ Finder: is }) => ({ default: is })));

/** Waits for its keys, and is loaded when they are pressed for the first time. */
export function Palette() {
  const [isOpen, setOpen] = useState(false);
  const [isWanted, setWanted] = useState(false);
  useEffect(() => {
    const open = () => {
      setWanted(true);
      setOpen(true);
    };
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
  if (!isWanted) return null;
  return (
    <Suspense>
      <Finder isOpen={isOpen} onChange={setOpen} />
    </Suspense>
  );
}
