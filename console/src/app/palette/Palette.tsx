import { type ComponentType, useCallback, useEffect, useState } from "react";
import type { FinderProps } from "./Finder";
import { onOpenPalette } from "./open";

/** What is on the screen comes first. */
const LATER_MS = 4000;

/** Waits for its keys. Whoever types on at once loses no letter: it is there before anybody wants it. */
export function Palette() {
  const [isOpen, setOpen] = useState(false);
  const { Finder, fetchFinder } = useFinder();
  useEffect(() => {
    const open = () => {
      fetchFinder();
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
  }, [fetchFinder]);
  return Finder && <Finder isOpen={isOpen} onChange={setOpen} />;
}

/** Where it cannot be had now, nothing else suffers: it is asked for again when it is wanted. */
function useFinder() {
  const [Finder, setFinder] = useState<ComponentType<FinderProps>>();
  const fetchFinder = useCallback(() => {
    import("./Finder").then(
      (loaded) => setFinder(() => loaded.Finder),
      () => undefined,
    );
  }, []);
  useEffect(() => {
    const later = setTimeout(fetchFinder, LATER_MS);
    return () => clearTimeout(later);
  }, [fetchFinder]);
  return { Finder, fetchFinder };
}
