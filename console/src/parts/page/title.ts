import { useEffect } from "react";

/** The document's title follows the screen. */
export function useTitle(title: string) {
  useEffect(() => {
    document.title = `${title} · Tintype`;
  }, [title]);
}
