import type { Snapshot } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { useWords } from "../../words";
import { RowLink } from "./RowLink";
import style from "./Uses.module.css";

/** What a snapshot is for: to look into it, and to bring something back. */
export function Uses({ snapshot: { id } }: { snapshot: Snapshot }) {
  const { snapshots: words } = useWords();
  const who = useWho();
  return (
    <>
      <LinkButton to="/browse/$id" params={{ id }}>
        {words.browse}
      </LinkButton>
      {who.may("restore") && (
        <LinkButton kind="primary" to="/restore/new" search={{ snapshot: id }}>
          {words.restore}
        </LinkButton>
      )}
    </>
  );
}

/** The same in a row of a list. */
export function UsesLine({ snapshot: { id } }: { snapshot: Snapshot }) {
  const { snapshots: words } = useWords();
  const who = useWho();
  return (
    <span className={style.line}>
      <RowLink goal={{ to: "/browse/$id", params: { id } }}>{words.browse}</RowLink>
      {who.may("restore") && (
        <RowLink goal={{ to: "/restore/new", search: { snapshot: id } }}>{words.restore}</RowLink>
      )}
    </span>
  );
}
