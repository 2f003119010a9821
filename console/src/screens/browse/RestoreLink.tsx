import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { useWords } from "../../words";
import { unfitOf } from "./entry";
import type { Place } from "./place";

/** Leads to the restore of this file or directory, or says why it cannot be restored by itself. */
export function RestoreLink({ id, place }: { id: string; place: Place }) {
  const { browse: words } = useWords();
  const who = useWho();
  if (!who.may("restore")) return null;
  const unfit = unfitOf(place);
  if (unfit) return <Button because={words.unfit[unfit]}>{words.restore}</Button>;
  return (
    <LinkButton
      kind="primary"
      to="/restore/new"
      search={{ snapshot: id, what: "files", path: place.path }}
    >
      {words.restore}
    </LinkButton>
  );
}
