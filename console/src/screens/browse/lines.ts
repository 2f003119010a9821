/** Two texts beside each other, line by line. */
export interface Line {
  n: number;
  text: string;
}
export interface Row {
  old?: Line;
  new?: Line;
  isSame: boolean;
}

/** Beyond so many pairs of lines what differs is not looked into: it would take too long. */
const MOST_PAIRS = 4_000_000;

const split = (text: string): string[] => {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
};

export function compare(oldText: string, newText: string): Row[] {
  const one = split(oldText);
  const other = split(newText);
  const most = Math.min(one.length, other.length);
  let begin = 0;
  while (begin < most && one[begin] === other[begin]) begin++;
  let end = 0;
  while (end < most - begin && one.at(-1 - end) === other.at(-1 - end)) end++;
  const kept = pairs(one.slice(begin, one.length - end), other.slice(begin, other.length - end));
  const same: [number, number][] = [
    ...Array.from({ length: begin }, (_, at): [number, number] => [at, at]),
    ...kept.map(([a, b]): [number, number] => [a + begin, b + begin]),
    ...Array.from({ length: end }, (_, at): [number, number] => [
      one.length - end + at,
      other.length - end + at,
    ]),
  ];
  return rows(one, other, same);
}

/** The longest common subsequence, as pairs of positions. */
function pairs(one: string[], other: string[]): [number, number][] {
  const width = other.length + 1;
  if (one.length === 0 || other.length === 0 || one.length * other.length > MOST_PAIRS) return [];
  const longest = new Uint32Array((one.length + 1) * width);
  const at = (a: number, b: number) => longest[a * width + b] ?? 0;
  for (let a = one.length - 1; a >= 0; a--) {
    for (let b = other.length - 1; b >= 0; b--) {
      longest[a * width + b] =
        one[a] === other[b] ? at(a + 1, b + 1) + 1 : Math.max(at(a + 1, b), at(a, b + 1));
    }
  }
  const found: [number, number][] = [];
  for (let a = 0, b = 0; a < one.length && b < other.length; ) {
    if (one[a] === other[b]) found.push([a++, b++]);
    else if (at(a + 1, b) >= at(a, b + 1)) a++;
    else b++;
  }
  return found;
}

/** What lies between equal lines stands side by side, as far as both have something. */
function rows(one: string[], other: string[], same: [number, number][]): Row[] {
  const found: Row[] = [];
  let a = 0;
  let b = 0;
  const line = (of: string[], at: number): Line => ({ n: at + 1, text: of[at] ?? "" });
  for (const [toA, toB] of [...same, [one.length, other.length] as const]) {
    while (a < toA || b < toB) {
      found.push({
        ...(a < toA && { old: line(one, a++) }),
        ...(b < toB && { new: line(other, b++) }),
        isSame: false,
      });
    }
    if (a < one.length && b < other.length) {
      found.push({ old: line(one, a++), new: line(other, b++), isSame: true });
    }
  }
  return found;
}

const AROUND = 3;

/** Equal lines far from any difference are left out; a number stands for so many. */
export function folded(all: Row[]): (Row | number)[] {
  const near = new Set<number>();
  all.forEach((row, at) => {
    if (row.isSame) return;
    for (let by = -AROUND; by <= AROUND; by++) near.add(at + by);
  });
  const shown: (Row | number)[] = [];
  all.forEach((row, at) => {
    const last = shown.at(-1);
    if (near.has(at)) shown.push(row);
    else if (typeof last === "number") shown[shown.length - 1] = last + 1;
    else shown.push(1);
  });
  return shown;
}
