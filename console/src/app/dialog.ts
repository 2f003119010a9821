import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { text } from "./search";

declare module "@tanstack/react-router" {
  interface HistoryState {
    /** Its dialog was opened from the page before it. */
    isOpened?: true;
  }
}

/** Which dialog is open on a screen, and about what: each has an address. */
export interface Opened {
  do?: string;
  of?: string;
}

export const openedOf = (search: Record<string, unknown>): Opened => ({
  do: text(search.do),
  of: text(search.of),
});

export const OPENED = { isOpened: true } as const;

/**
 * Leaves a dialog as one came: back, if it was opened here, so that the back button does not open it again.
 * Whoever came by a link stays on the screen behind it.
 */
export function useLeave(): (otherwise: () => unknown) => void {
  const router = useRouter();
  return (otherwise) => {
    if (router.latestLocation.state.isOpened) router.history.back();
    else otherwise();
  };
}

export function useDialog(name: string, of?: string) {
  const router = useRouter();
  const navigate = useNavigate();
  const leave = useLeave();
  const search: Opened = useSearch({ strict: false });
  const isAt = (at: Opened) => at.do === name && (of === undefined || at.of === of);
  const go = (to: Opened, replace: boolean) =>
    navigate({
      to: ".",
      search: (now: object) => ({ ...now, do: to.do, of: to.of }) as never,
      ...(replace ? { replace } : { state: OPENED }),
      resetScroll: false,
    });
  return {
    isOpen: isAt(search),
    /** What it is about, where a list opens it. */
    of: isAt(search) ? search.of : undefined,
    open: (about = of) => go({ do: name, of: about }, false),
    close: () => {
      // What was done may have led elsewhere.
      if (isAt(openedOf(router.latestLocation.search))) leave(() => go({}, true));
    },
  };
}
