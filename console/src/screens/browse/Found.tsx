import { useQuery } from "@tanstack/react-query";
import { found } from "../../api/content";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { useFormat, useWords } from "../../words";
import { EntryTable } from "./EntryTable";
import { SearchField } from "./SearchField";

export function Found({ id, q, path }: { id: string; q: string; path: string | undefined }) {
  const { browse: words } = useWords();
  const format = useFormat();
  const query = useQuery(found(id, q, path));
  return (
    <Panel title={words.found(q)} beside={<SearchField key={q} />} isFlush>
      <Loading of={query} lines={8}>
        {({ items, has_more, unread }) => (
          <>
            {(unread ?? []).length > 0 && (
              <Notice is="attention" title={words.unread}>
                {format.list(unread ?? [])}
              </Notice>
            )}
            {has_more && <Notice is="none" title={words.tooMany(format.number(items.length))} />}
            <EntryTable
              id={id}
              entries={items}
              place={{}}
              isWhole
              empty={<Empty title={words.nothingFound}>{words.nothingFoundWords}</Empty>}
            />
          </>
        )}
      </Loading>
    </Panel>
  );
}
