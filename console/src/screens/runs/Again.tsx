import type { Run } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { useWords } from "../../words";
import { mayAgain } from "./standing";

/** Where a run is begun anew, or gone on with: what the API can do once more. */
export function Again({ run }: { run: Run }) {
  const { runs: words } = useWords();
  const who = useWho();
  if (run.kind === "restore" && who.may("restore")) {
    return (
      <LinkButton to="/restore/$id" params={{ id: run.id }}>
        {words.toRestore}
      </LinkButton>
    );
  }
  if (!mayAgain(run) || !who.may("snapshot")) return null;
  return (
    <LinkButton kind="primary" to="/snapshots" search={{ new: true }}>
      {words.again}
    </LinkButton>
  );
}
