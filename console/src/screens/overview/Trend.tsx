import type { Standing } from "../../api/types";
import { type Standing as Mark, Shape } from "../../parts/state/State";
import { useFormat, useWords } from "../../words";
import style from "./Overview.module.css";

type Past = Standing["last"][number];

const MARKS: Record<Past["outcome"], Mark> = {
  captured: "good",
  failed: "failed",
  skipped: "attention",
};

/** What came of the last snapshots, the oldest first, as one reads. */
export function Trend({ of }: { of: Past[] }) {
  const { outcomes } = useWords();
  const format = useFormat();
  return (
    <ol className={style.trend}>
      {[...of].reverse().map((past) => {
        const told = `${format.moment(new Date(past.time))}: ${outcomes[past.outcome]}`;
        return (
          <li key={past.time} title={told}>
            <Shape is={MARKS[past.outcome]} />
            <span className="unseen">{told}</span>
          </li>
        );
      })}
    </ol>
  );
}
