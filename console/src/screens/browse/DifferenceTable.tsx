import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Change } from "../../api/types";
import { type Column, Table } from "../../parts/table/Table";
import { useFormat, useWords } from "../../words";
import { ChangeWord } from "./ChangeWord";
import type { Group } from "./groups";

interface Props {
  groups: Group[];
  from: string;
  to: string;
  empty: ReactNode;
}

const COUNTED: Change[] = ["added", "removed", "content", "metadata", "type"];

export function DifferenceTable({ groups, from, to, empty }: Props) {
  const { browse: words } = useWords();
  const format = useFormat();
  const size = (of: Group["own"], which: "old" | "new") => {
    const entry = of?.[which];
    return entry && entry.kind !== "directory" ? format.bytes(entry.size) : "";
  };
  const columns: Column<Group>[] = [
    {
      key: "name",
      title: words.columns.name,
      isHead: true,
      cell: ({ name, path, hex, below }) => (
        <Link to="/browse/compare" search={{ from, to, path, hex }}>
          {below > 0 ? `${name}/` : name}
        </Link>
      ),
    },
    {
      key: "itself",
      title: words.itself,
      cell: ({ own }) => own && <ChangeWord is={own.change} />,
    },
    {
      key: "below",
      title: words.below,
      cell: ({ counts, below }) =>
        below > 0 &&
        COUNTED.filter((change) => counts[change] > 0)
          .map((change) => `${format.number(counts[change])} ${words.changes[change]}`)
          .join(", "),
    },
    { key: "old", title: words.before, isNumber: true, cell: ({ own }) => size(own, "old") },
    { key: "new", title: words.after, isNumber: true, cell: ({ own }) => size(own, "new") },
  ];
  return (
    <Table
      label={words.differs}
      columns={columns}
      rows={groups}
      rowKey={({ path, hex }) => hex ?? path}
      empty={empty}
    />
  );
}
