import { type ReactNode, useLayoutEffect } from "react";
import { classes } from "../classes";
import { Row } from "./Row";
import style from "./Table.module.css";
import { MANY, VirtualBody } from "./VirtualBody";

export interface Column<T> {
  key: string;
  title: string;
  cell: (row: T) => ReactNode;
  /** Buttons and links: nobody who sees them needs a title for them. */
  isAction?: boolean;
  /** Numbers stand at the end of their column. */
  isNumber?: boolean;
  /** As narrow as what is in it: a mark, a check. */
  isNarrow?: boolean;
  /** Takes whatever width is left. */
  isWide?: boolean;
  /** Stands over the column in place of its title. */
  head?: ReactNode;
  /** The first thing that one looks for: the head of the row. */
  isHead?: boolean;
}

export interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  /** Rows that are shown quietly: expired, disabled. */
  isQuiet?: (row: T) => boolean;
  /** Asked for when the end comes near. */
  onNearEnd?: (() => void) | undefined;
  /** Told which rows are in sight, of long ones. */
  onSight?: ((from: number, to: number) => void) | undefined;
  empty?: ReactNode;
}

/**
 * Rows that are compared. Narrow screens show each as a block with the names of its columns. Long ones are
 * virtual: a hundred thousand rows scroll as ten do.
 */
export function Table<T>(props: TableProps<T>) {
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
                className={classes(
                  column.isNumber && style.number,
                  column.isWide && style.wide,
                  column.isNarrow && style.narrow,
                )}
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

function Body<T>({ rows, rowKey, columns, isQuiet, onNearEnd }: TableProps<T>) {
  // So few are in sight to their end.
  useLayoutEffect(() => onNearEnd?.(), [onNearEnd]);
  return (
    <tbody>
      {rows.map((row, index) => (
        <Row key={rowKey(row)} row={row} index={index} columns={columns} isQuiet={isQuiet} />
      ))}
    </tbody>
  );
}
