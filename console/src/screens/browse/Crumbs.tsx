import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Snapshot } from "../../api/types";
import { useWords } from "../../words";
import style from "./Browse.module.css";
import { crumbsOf, type Place } from "./place";

const EXACT = { exact: true };

/** Where this lies in the snapshot, each step a link. */
export function Crumbs({ snapshot, place }: { snapshot: Snapshot; place: Place }) {
  const { snapshots } = useWords();
  const { id } = snapshot;
  const name = snapshot.name || snapshots.unnamed(snapshots.scopes[snapshot.scope]);
  return (
    <Trail
      place={place}
      root={
        <Link to="/browse/$id" params={{ id }} search={{}} activeOptions={EXACT}>
          {name}
        </Link>
      }
      link={(at, words) => (
        <Link to="/browse/$id" params={{ id }} search={at} activeOptions={EXACT}>
          {words}
        </Link>
      )}
    />
  );
}

interface TrailProps {
  place: Place;
  root: ReactNode;
  link: (place: Place, words: string) => ReactNode;
}

export function Trail({ place, root, link }: TrailProps) {
  const { browse: words, screens } = useWords();
  return (
    <nav aria-label={words.path}>
      <ol className={style.crumbs}>
        <li>
          <Link to="/browse" activeOptions={EXACT}>
            {screens.browse}
          </Link>
        </li>
        <li>{root}</li>
        {crumbsOf(place).map(({ name, place: at }) => (
          <li key={JSON.stringify(at)}>{link(at, name)}</li>
        ))}
      </ol>
    </nav>
  );
}
