import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useLayoutEffect, useRef, useState } from "react";
import { fixColumns } from "./columns";
import { Row } from "./Row";
import type { TableProps } from "./Table";
import style from "./Table.module.css";

/** From so many rows on only those in sight are in the document. */
export const MANY = 150;
const ROW_PX = 41;
/** So many more before and after them: what a turn of a wheel brings is there already. */
const AROUND = 8;

export function VirtualBody<T>({
  rows,
  rowKey,
  columns,
  isQuiet,
  onNearEnd,
  onSight,
}: TableProps<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const usual = useRef(ROW_PX);
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => {
    const top = body.current?.getBoundingClientRect().top ?? 0;
    setMargin(top + window.scrollY);
  }, []);
  const names = columns.map(({ key }) => key).join(" ");
  // biome-ignore lint/correctness/useExhaustiveDependencies: other columns are measured anew
  useLayoutEffect(() => fixColumns(body.current), [names]);
  const keyOf = useRef(rowKey);
  keyOf.current = rowKey;
  // Another function would mean other rows: all places would be reckoned anew, with each frame.
  const getItemKey = useCallback((index: number) => keyOf.current(rows[index] as T), [rows]);
  const seen = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => usual.current,
    overscan: AROUND,
    scrollMargin: margin,
    getItemKey,
  });
  // The nearer the guess, the fewer rows move when they come into sight and are measured.
  useLayoutEffect(() => {
    const row = body.current?.querySelector<HTMLElement>("tr[data-index]");
    if (!row || Math.abs(row.offsetHeight - usual.current) < 1) return;
    usual.current = row.offsetHeight;
    seen.measure();
  }, [seen]);
  const items = seen.getVirtualItems();
  const first = items[0];
  const last = items.at(-1);
  const isNearEnd = last !== undefined && last.index > rows.length - MANY / 2;
  useLayoutEffect(() => {
    if (isNearEnd) onNearEnd?.();
  }, [isNearEnd, onNearEnd]);
  const from = first?.index;
  const to = last?.index;
  useLayoutEffect(() => {
    if (from !== undefined && to !== undefined) onSight?.(from, to);
  }, [from, to, onSight]);
  const before = first ? first.start - margin : 0;
  const after = last ? seen.getTotalSize() - (last.end - margin) : 0;
  return (
    <tbody ref={body}>
      <Gap height={before} columns={columns.length} />
      {items.map(({ index, key }) => (
        <Row
          key={key}
          row={rows[index] as T}
          index={index}
          columns={columns}
          isQuiet={isQuiet}
          measure={seen.measureElement}
        />
      ))}
      <Gap height={after} columns={columns.length} />
    </tbody>
  );
}

function Gap({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: Biome takes a row for a widget; this one is neither focused nor pressed
    <tr aria-hidden="true" className={style.gap}>
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}
