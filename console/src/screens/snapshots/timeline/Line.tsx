import type { Snapshot } from "../../../api/types";
import { useNow } from "../../../parts/when/now";
import { useFormat, useWords } from "../../../words";
import style from "./Timeline.module.css";
import { barOf, goesAt, type Span } from "./timeline";

const HEIGHT = 18;
const MIDDLE = HEIGHT / 2;
const percent = (share: number) => `${Math.round(share * 10_000) / 100}%`;

/** From when to when one snapshot is there; the thick part is locked. */
export function Line({ snapshot, span }: { snapshot: Snapshot; span: Span }) {
  const told = useTold(snapshot);
  const bar = barOf(snapshot, span, useNow());
  const [from, to] = [percent(bar.from), percent(bar.to)];
  return (
    <svg className={style.line} height={HEIGHT} role="img" aria-label={told}>
      <title>{told}</title>
      <line className={style.now} x1="50%" x2="50%" y1="0" y2={HEIGHT} />
      <line className={style.stays} x1={from} x2={to} y1={MIDDLE} y2={MIDDLE} />
      {bar.lockedTo !== undefined && (
        <line
          className={style.locked}
          x1={from}
          x2={percent(bar.lockedTo)}
          y1={MIDDLE}
          y2={MIDDLE}
        />
      )}
      {!bar.isBefore && <circle className={style.taken} cx={from} cy={MIDDLE} r="4" />}
      {bar.isBeyond ? (
        <text className={style.beyond} x="100%" y={MIDDLE} textAnchor="end">
          →
        </text>
      ) : (
        <line className={style.goes} x1={to} x2={to} y1="3" y2={HEIGHT - 3} />
      )}
    </svg>
  );
}

/** The same in words. */
function useTold(snapshot: Snapshot): string {
  const { timeline: words } = useWords();
  const format = useFormat();
  const now = useNow();
  const { locked_until } = snapshot;
  const holds = snapshot.holds ?? [];
  const goes = goesAt(snapshot);
  const lock = locked_until && new Date(locked_until) > now ? new Date(locked_until) : undefined;
  return [
    words.taken(format.moment(new Date(snapshot.time))),
    holds.length > 0 && words.held(format.list(holds)),
    lock && words.locked(format.moment(lock)),
    goes ? words.goes(format.moment(goes)) : holds.length === 0 && words.stays,
  ]
    .filter(Boolean)
    .join("; ");
}

/** What the line shows: its two ends, and now between them. */
export function Scale({ span }: { span: Span }) {
  const { timeline: words } = useWords();
  return (
    <span className={style.scale}>
      <span>{words.ago[span]}</span>
      <span>{words.now}</span>
      <span>{words.ahead[span]}</span>
    </span>
  );
}
