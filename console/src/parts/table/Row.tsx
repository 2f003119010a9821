import { memo } from "react";
import { classes } from "../classes";
import type { Column } from "./Table";
import style from "./Table.module.css";

interface RowProps<T> {
  row: T;
  index: number;
  columns: Column<T>[];
  isQuiet?: ((row: T) => boolean) | undefined;
  measure?: (element: Element | null) => void;
}

function Cells<T>({ row, index, columns, isQuiet, measure }: RowProps<T>) {
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

/** While one scrolls, a row that stays in sight stays as it is. */
export const Row = memo(Cells) as typeof Cells;
