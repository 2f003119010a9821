import type { Run } from "../../api/types";
import { Progress } from "../../parts/progress/Progress";
import { Told } from "../../parts/told/Told";
import { useFormat, useWords } from "../../words";
import style from "./RunProgress.module.css";
import { shareOf } from "./standing";

/** How far a run is, how fast, how long still, and what it waits for. */
export function RunProgress({ run }: { run: Run }) {
  const { runs: words } = useWords();
  const format = useFormat();
  const { progress } = run;
  const share = shareOf(run);
  const figures = words.figures(
    format.number(progress.files),
    progress.total_bytes > 0
      ? `${format.bytes(progress.bytes)} / ${format.bytes(progress.total_bytes)}`
      : format.bytes(progress.bytes),
    format.bytes(progress.bytes_per_second),
  );
  const left = progress.seconds_left;
  return (
    <div className={style.progress}>
      <Progress share={share} label={words.progress} />
      <p className={style.doing}>
        {progress.doing ? <Told of={progress.doing} isTitle /> : words.states[run.state]}
      </p>
      <p className={style.figures}>
        {share !== undefined && `${format.percent(share)} · `}
        {figures}
        {left !== undefined && left !== null && ` · ${words.left(format.duration(left))}`}
        {progress.problems > 0 && ` · ${words.problems(format.number(progress.problems))}`}
      </p>
    </div>
  );
}
