import { Link } from "@tanstack/react-router";
import type { Snapshot } from "../../api/types";
import { useWords } from "../../words";
import style from "./Browse.module.css";
import { crumbsOf, type Place } from "./place";

/** Where this lies in the snapshot, each step a link. */
export function Crumbs({ snapshot, place }: { snapshot: Snapshot; place: Place }) {
  const { browse: words, snapshots, screens } = useWords();
  const { id } = snapshot;
  const crumbs = crumbsOf(place);
  return (
    <nav aria-label={words.path}>
      <ol className={style.crumbs}>
        <li>
          <Link to="/browse">{screens.browse}</Link>
        </li>
        <li>
          <Link to="/browse/$id" params={{ id }} search={{}} activeOptions={{ exact: true }}>
            {snapshot.name || snapshots.unnamed(snapshots.scopes[snapshot.scope])}
          </Link>
        </li>
        {crumbs.map(({ name, place: at }, index) => (
          <li key={JSON.stringify(at)}>
            <Link
              to="/browse/$id"
              params={{ id }}
              search={at}
              aria-current={index === crumbs.length - 1 ? "page" : undefined}
            >
              {name}
            </Link>
          </li>
        ))}
      </ol>
    </nav>
  );
}
