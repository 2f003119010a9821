import { useQuery } from "@tanstack/react-query";
import { api, ask } from "../../api/client";
import { sessions as sessionsQuery } from "../../api/objects";
import type { Session } from "../../api/types";
import { useBecause } from "../../app/because";
import { Remove } from "../../parts/dialog/Remove";
import { Loading } from "../../parts/loading/Loading";
import { Panel } from "../../parts/panel/Panel";
import { type Column, Table } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";

/** Logins that are still valid, and their end. */
export function Sessions() {
  const { settings: words } = useWords();
  const query = useQuery(sessionsQuery);
  const columns = useColumns();
  return (
    <Panel title={words.sessions} isFlush>
      <Loading of={query}>
        {({ items }) => (
          <Table label={words.sessions} columns={columns} rows={items} rowKey={({ id }) => id} />
        )}
      </Loading>
    </Panel>
  );
}

function useColumns(): Column<Session>[] {
  const { settings: words, common } = useWords();
  const because = useBecause();
  return [
    {
      key: "user",
      title: words.user,
      isHead: true,
      cell: ({ user_name, is_this }) => (is_this ? `${user_name} (${words.thisOne})` : user_name),
    },
    { key: "address", title: words.address, cell: ({ address }) => address },
    { key: "begun", title: words.begun, cell: ({ begun }) => <When at={begun} /> },
    { key: "used", title: words.lastUsed, cell: ({ last_used }) => <When at={last_used} short /> },
    { key: "expires", title: words.until, cell: ({ expires }) => <When at={expires} /> },
    {
      key: "do",
      title: common.actions,
      isAction: true,
      cell: ({ id, is_this, user_name, address }) =>
        is_this ? null : (
          <Remove
            id={id}
            title={words.endTitle}
            action={words.end}
            of={`${user_name}, ${address}`}
            kind="quiet"
            because={because}
            kinds={["session"]}
            remove={() => ask(api.DELETE("/api/v1/sessions/{id}", { params: { path: { id } } }))}
          >
            <p>{words.endWords}</p>
          </Remove>
        ),
    },
  ];
}
