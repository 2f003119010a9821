import type { ErrorComponentProps } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { Problem } from "../api/problem";
import { ProblemNotice } from "../parts/notice/ProblemNotice";
import { Page } from "../parts/page/Page";
import { useWords } from "../words";
import { useIsLost } from "./live";

/** A part of the console did not come: as Vite, Chromium, Firefox and Safari say it. */
const UNLOADED = /preload CSS|dynamically imported module|Importing a module script/i;

/** A screen that cannot be shown takes no other with it. */
export function Crash({ error, reset }: ErrorComponentProps) {
  const { shell } = useWords();
  const isLost = useIsLost();
  const wasLost = useRef(isLost);
  const isUnloaded = UNLOADED.test(String(error));
  // What it is made of can be had again: where it is stands in the address.
  useEffect(() => {
    if (isUnloaded && wasLost.current && !isLost) location.reload();
    wasLost.current = isLost;
  }, [isUnloaded, isLost]);
  return (
    <Page title={shell.crashed}>
      <ProblemNotice
        error={isUnloaded ? new Problem("offline", 0, String(error)) : error}
        again={isUnloaded && !isLost ? () => location.reload() : reset}
      />
    </Page>
  );
}
