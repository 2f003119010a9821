import { useState } from "react";

interface Versioned {
  version: number;
}

/** Whether what is shown is what was saved here: a form begins anew with each version, and forgets it. */
export function useSaved(shown: Versioned) {
  const [version, setVersion] = useState<number>();
  return {
    isSaved: shown.version === version,
    onSaved: (saved: Versioned) => setVersion(saved.version),
  };
}

/** What is being written, and whether it still is what it was at the beginning. */
export function useDraft<D>(initial: D | (() => D)) {
  const [begun] = useState(initial);
  const [draft, setDraft] = useState(begun);
  return {
    draft,
    isAsBegun: draft === begun,
    change: (over: Partial<D>) => setDraft((now) => ({ ...now, ...over })),
  };
}
