import { useQuery } from "@tanstack/react-query";
import { storageState, storages } from "../../api/queries";
import type { Storage } from "../../api/types";
import { Panel } from "../../parts/panel/Panel";
import { Progress } from "../../parts/progress/Progress";
import { State } from "../../parts/state/State";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { unknownSince } from "../storages/known";
import style from "./Overview.module.css";

/** How full each storage is, and when it will be. */
export function Space() {
  const { overview: words } = useWords();
  const { data } = useQuery(storages);
  if (!data || data.items.length === 0) return null;
  return (
    <Panel title={words.storages}>
      <ul className={style.spaces}>
        {data.items.map((storage) => (
          <li key={storage.id}>
            <One storage={storage} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function One({ storage }: { storage: Storage }) {
  const { overview: words } = useWords();
  const format = useFormat();
  const { data: state } = useQuery(storageState(storage.id));
  const now = useNow();
  const since = state && unknownSince(state, now);
  const usage = since ? undefined : state?.usage;
  const { total_bytes: total, free_bytes: free } = usage ?? {};
  return (
    <div className={style.space}>
      <h3>
        {state ? (
          <State is={state.is_good ? "good" : "failed"}>{storage.name}</State>
        ) : (
          storage.name
        )}
      </h3>
      {typeof total === "number" && typeof free === "number" && (
        <Progress share={1 - free / total} label={words.free(format.bytes(free))} />
      )}
      {since && (
        <p className={style.quiet}>
          {words.notKnownSince} <When at={since} short />
        </p>
      )}
      {state && usage && (
        <p className={style.quiet}>
          {words.used(format.bytes(usage.used_bytes))}
          {typeof free === "number" && ` · ${words.free(format.bytes(free))}`}
          {" · "}
          {words.asOf} <When at={state.checked} short />
        </p>
      )}
      {usage?.full_at && (
        <p className={style.quiet}>
          {words.fullAt} <When at={usage.full_at} short />
        </p>
      )}
    </div>
  );
}
