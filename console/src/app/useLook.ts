import { useSyncExternalStore } from "react";
import { type Contrast, hearLook, readLook, setLook, type Theme } from "./look";

export function useLook() {
  const { theme, contrast } = useSyncExternalStore(hearLook, readLook);
  return {
    theme,
    contrast,
    setTheme: (next: Theme) => setLook({ theme: next }),
    setContrast: (next: Contrast) => setLook({ contrast: next }),
  };
}
