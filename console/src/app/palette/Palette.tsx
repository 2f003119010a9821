import { useEffect, useState } from "react";
import { Finder } from "./Finder";
import { onOpenPalette } from "./open";

/** Waits for its keys. Whoever types on at once loses no letter: it is there already. */
export function Palette() {
  const [isOpen, setOpen] = useState(false);
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
  return <Finder isOpen={isOpen} onChange={setOpen} />;
}
