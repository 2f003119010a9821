import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { classes } from "../classes";
import style from "./Table.module.css";

export interface Column<T> {
  key: string;
  title: string;
  cell: (row: T) => ReactNode;
  /** Buttons and links: nobody who sees them needs a title for them. */
  isAction?: boolean;
  /** Numbers stand at the end of their column. */
  isNumber?: boolean;
  /** Takes whatever width is left. */
  isWide?: boolean;
  /** Stands over the column in place of its title. */
  head?: ReactNode;
  /** The first thing that one looks for: the head of the row. */
  isHead?: boolean;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  /** Rows that are shown quietly: expired, disabled. */
  isQuiet?: (row: T) => boolean;
  /** Asked for when the end comes near. */
  onNearEnd?: (() => void) | undefined;
  empty?: ReactNode;
}

/** From so many rows on only those in sight are in the document. */
const MANY = 150;
const ROW_PX = 41;

/**
 * Rows that are compared. Narrow screens show each as a block with the names of its columns. Long ones are
 * virtual: a hundred thousand rows scroll as ten do.
 */
export function Table<T>(props: Props<T>) {
  if (props.rows.length === 0 && props.empty) return props.empty;
  return (
    <div className={style.scroll}>
      <table className={style.table} aria-label={props.label} aria-rowcount={props.rows.length + 1}>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th
                key={column.key}
                scope="col"
                className={classes(column.isNumber && style.number, column.isWide && style.wide)}
              >
                {column.isAction || column.head ? (
                  <span className="unseen">{column.title}</span>
                ) : (
                  column.title
                )}
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        {props.rows.length > MANY ? <VirtualBody {...props} /> : <Body {...props} />}
      </table>
    </div>
  );
}

function Body<T>({ rows, rowKey, onNearEnd, ...rest }: Props<T>) {
  // So few are in sight to their end.
  useLayoutEffect(() => onNearEnd?.(), [onNearEnd]);
  return (
    <tbody>
      {rows.map((row, index) => (
        <Row key={rowKey(row)} row={row} index={index} {...rest} />
      ))}
    </tbody>
  );
}

function VirtualBody<T>({ rows, rowKey, onNearEnd, ...rest }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => {
    const top = body.current?.getBoundingClientRect().top ?? 0;
    setMargin(top + window.scrollY);
  }, []);
  const seen = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW_PX,
    overscan: 20,
    scrollMargin: margin,
    getItemKey: (index) => rowKey(rows[index] as T),
  });
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

interface RowProps<T> {
  row: T;
  index: number;
  columns: Column<T>[];
  isQuiet?: ((row: T) => boolean) | undefined;
  measure?: (element: Element | null) => void;
}

function Row<T>({ row, index, columns, isQuiet, measure }: RowProps<T>) {
  return (
    <tr
      ref={measure}
      data-index={index}
      aria-rowindex={index + 2}
      className={classes(isQuiet?.(row) && style.quiet)}
    >
      {columns.map((column) => {
        const name = classes(column.isNumber && style.number);
        if (column.isHead) {
          return (
            <th key={column.key} scope="row" className={name}>
              {column.cell(row)}
            </th>
          );
        }
        return (
          <td key={column.key} className={name} data-title={column.isAction ? "" : column.title}>
            {column.cell(row)}
          </td>
        );
      })}
    </tr>
  );
}
