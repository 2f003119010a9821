import type { Entry } from "../../api/types";
import type { Column } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { changedOf, hasContent } from "./entry";

/** How large something in a snapshot is, and when it was changed, in any table of such things. */
export function useEntryColumns<T>(entryOf: (row: T) => Entry): Column<T>[] {
  const { browse } = useWords();
  const { columns } = browse;
  const format = useFormat();
  return [
    {
      key: "size",
      title: columns.size,
      isNumber: true,
      cell: (row) => {
        const entry = entryOf(row);
        return hasContent(entry) ? format.bytes(entry.size) : "";
      },
    },
    {
      key: "changed",
      title: columns.changed,
      cell: (row) => {
        const at = changedOf(entryOf(row));
        return at ? <When at={at} /> : "";
      },
    },
  ];
}
