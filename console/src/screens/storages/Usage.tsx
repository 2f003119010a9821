import { useQuery } from "@tanstack/react-query";
import { storageState } from "../../api/queries";
import { UsageChart } from "../../parts/chart/UsageChart";
import { Facts } from "../../parts/facts/Facts";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { Progress } from "../../parts/progress/Progress";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { unknownSince } from "./known";
import style from "./Storages.module.css";

/** How much lies there, over time, and when it will be full. */
export function Usage({ id }: { id: string }) {
  const { storages: words, overview } = useWords();
  const format = useFormat();
  const { data: state } = useQuery(storageState(id));
  const now = useNow();
  const usage = state?.usage;
  if (!usage) return null;
  const since = unknownSince(state, now);
  const { total_bytes: total, free_bytes: free } = usage;
  const points = usage.history.map(({ time, used_bytes }) => ({
    at: new Date(time),
    value: used_bytes,
  }));
  const knowsRoom = typeof total === "number" && typeof free === "number";
  return (
    <Panel title={words.usage}>
      <div className={style.usage}>
        {since && (
          <Notice
            is="attention"
            title={
              <>
                {overview.notKnownSince} <When at={since} />
              </>
            }
          />
        )}
        {knowsRoom && <Progress share={1 - free / total} label={words.fullness} />}
        <Facts
          of={[
            [words.checked, <When key="checked" at={state.checked} />],
            [words.usedLong, format.bytes(usage.used_bytes)],
            [words.free, typeof free === "number" && format.bytes(free)],
            [words.total, typeof total === "number" && format.bytes(total)],
            [
              words.fullAtLong,
              usage.full_at ? (
                <When key="full" at={usage.full_at} />
              ) : (
                knowsRoom && words.notFilling
              ),
            ],
          ]}
        />
        <UsageChart points={points} limit={total ?? undefined} />
      </div>
    </Panel>
  );
}
