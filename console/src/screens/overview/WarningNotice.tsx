import type { ReactNode } from "react";
import type { Warning } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Notice } from "../../parts/notice/Notice";
import { useIsForeign } from "../../parts/told/said";
import { Told } from "../../parts/told/Told";
import { useWords } from "../../words";
import { SERIOUS } from "./answer";

/** What speaks against a restore, and where it is mended. */
export function WarningNotice({ warning: { code, what } }: { warning: Warning }) {
  const { overview } = useWords();
  const words = overview.warnings[code];
  const who = useWho();
  // Where it is not, it names what it is about.
  const isForeign = useIsForeign(what);
  return (
    <Notice
      is={SERIOUS.has(code) ? "failed" : "attention"}
      title={isForeign ? words.what : <Told of={what} />}
      actions={who.may("change") && <Way code={code} />}
    >
      {isForeign && words.isNamed && (
        <p>
          <Told of={what} />
        </p>
      )}
      {words.cure}
    </Notice>
  );
}

function Way({ code }: { code: Warning["code"] }): ReactNode {
  const { overview, snapshots, storages, screens } = useWords();
  switch (code) {
    case "no-full":
    case "never-captured":
      return (
        <LinkButton to="/snapshots" search={{ new: true }}>
          {snapshots.take}
        </LinkButton>
      );
    case "no-full-elsewhere":
      return (
        <LinkButton to="/storages" search={{ new: true }}>
          {storages.add}
        </LinkButton>
      );
    case "storage":
    case "storage-warns":
      return <LinkButton to="/storages">{screens.storages}</LinkButton>;
    case "not-protected":
      return <LinkButton to="/resources">{screens.resources}</LinkButton>;
    case "no-schedule":
      return <LinkButton to="/schedules">{overview.toSchedules}</LinkButton>;
    default:
      return null;
  }
}
