export interface Point {
  at: Date;
  value: number;
}

export interface Scale {
  x: (at: Date) => number;
  y: (value: number) => number;
  /** The value at the upper edge. */
  top: number;
}

/** A limit that is far away would press the line to the ground: it is drawn only if it is near. */
const NEAR = 4;

export function scaleOf(
  points: Point[],
  limit: number | undefined,
  width: number,
  height: number,
): Scale {
  const times = points.map(({ at }) => at.getTime());
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const most = Math.max(...points.map(({ value }) => value), 1);
  const top = (limit !== undefined && limit < most * NEAR ? Math.max(limit, most) : most) * 1.05;
  return {
    x: (at) => round(((at.getTime() - from) / Math.max(to - from, 1)) * width),
    y: (value) => round(height - (value / top) * height),
    top,
  };
}

export function lineOf(points: Point[], { x, y }: Scale): string {
  return points.map(({ at, value }, n) => `${n === 0 ? "M" : "L"}${x(at)} ${y(value)}`).join("");
}

export function areaOf(points: Point[], scale: Scale, height: number): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return "";
  return `${lineOf(points, scale)}L${scale.x(last.at)} ${height}L${scale.x(first.at)} ${height}Z`;
}

const round = (value: number) => Math.round(value * 10) / 10;
