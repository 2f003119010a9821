import { useFormat, useWords } from "../../words";
import style from "./Chart.module.css";
import { areaOf, lineOf, type Point, scaleOf } from "./scale";

interface Props {
  points: Point[];
  /** All that there is room for, where that is known. */
  limit?: number | undefined;
}

const WIDTH = 600;
const HEIGHT = 140;

/** Bytes over days. Said in words, too, for those who do not see it. */
export function UsageChart({ points, limit }: Props) {
  const format = useFormat();
  const { charts } = useWords();
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) return <p className={style.none}>{charts.tooFew}</p>;
  const scale = scaleOf(points, limit, WIDTH, HEIGHT);
  const words = charts.usage(
    format.day(first.at),
    format.bytes(first.value),
    format.day(last.at),
    format.bytes(last.value),
  );
  return (
    <figure className={style.chart}>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={words}
        preserveAspectRatio="none"
      >
        <path className={style.area} d={areaOf(points, scale, HEIGHT)} />
        <path className={style.stroke} d={lineOf(points, scale)} />
        {limit !== undefined && limit <= scale.top && (
          <line className={style.limit} x1="0" x2={WIDTH} y1={scale.y(limit)} y2={scale.y(limit)} />
        )}
      </svg>
      <figcaption>{words}</figcaption>
    </figure>
  );
}
