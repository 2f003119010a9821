import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useLayoutEffect, useRef, useState } from "react";
import { Row } from "./Row";
import type { TableProps } from "./Table";
import style from "./Table.module.css";

/** From so many rows on only those in sight are in the document. */
export const MANY = 150;
const ROW_PX = 41;

export function VirtualBody<T>({ rows, rowKey, onNearEnd, ...rest }: TableProps<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const usual = useRef(ROW_PX);
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => {
    const top = body.current?.getBoundingClientRect().top ?? 0;
    setMargin(top + window.scrollY);
  }, []);
  const keyOf = useRef(rowKey);
  keyOf.current = rowKey;
  // Another function would mean other rows: all places would be reckoned anew, with each frame.
  const getItemKey = useCallback((index: number) => keyOf.current(rows[index] as T), [rows]);
  const seen = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => usual.current,
    overscan: 20,
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
  const before = first ? first.start - margin : 0;
  const after = last ? seen.getTotalSize() - (last.end - margin) : 0;
  const columns = rest.columns.length;
  return (
    <tbody ref={body}>
      <Gap height={before} columns={columns} />
      {items.map(({ index, key }) => (
        <Row
          key={key}
          row={rows[index] as T}
          index={index}
          measure={seen.measureElement}
          {...rest}
        />
      ))}
      <Gap height={after} columns={columns} />
    </tbody>
  );
}

function Gap({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row is not focusable
    <tr aria-hidden="true" className={style.gap}>
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}
