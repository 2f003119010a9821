import { useQuery } from "@tanstack/react-query";
import { unchanged } from "../../api/change";
import { api, ask } from "../../api/client";
import { tokens as tokensQuery, users } from "../../api/objects";
import type { Token } from "../../api/types";
import { useBecause } from "../../app/because";
import { useDialog } from "../../app/dialog";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { Remove } from "../../parts/dialog/Remove";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { type Column, Table } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { TokenForm } from "./TokenForm";

/** Which programs may do what? */
export function List() {
  const { tokens: words, screens } = useWords();
  const because = useBecause();
  const add = useDialog("add");
  const query = useQuery(tokensQuery);
  const columns = useColumns();
  return (
    <Page
      title={screens.tokens}
      answer={words.answer}
      actions={
        <Button kind="primary" because={because} onClick={() => add.open()}>
          {words.add}
        </Button>
      }
    >
      <Panel title={screens.tokens} isFlush>
        <Loading of={query}>
          {({ items }) => (
            <Table
              label={screens.tokens}
              columns={columns}
              rows={items}
              rowKey={({ id }) => id}
              empty={<Empty title={words.none}>{words.noneWords}</Empty>}
            />
          )}
        </Loading>
      </Panel>
      <Modal title={words.add} isOpen={add.isOpen} onClose={add.close}>
        <TokenForm onClose={add.close} />
      </Modal>
    </Page>
  );
}

function useColumns(): Column<Token>[] {
  const { tokens: words, users: userWords, common, roles } = useWords();
  const because = useBecause();
  const known = useQuery(users);
  return [
    { key: "name", title: common.name, isHead: true, cell: ({ name }) => name },
    { key: "role", title: userWords.role, cell: ({ spec }) => roles[spec.role] },
    {
      key: "maker",
      title: words.actsFor,
      cell: ({ spec }) => known.data?.items.find(({ id }) => id === spec.maker)?.name,
    },
    {
      key: "used",
      title: words.used,
      cell: ({ spec }) => (spec.last_used ? <When at={spec.last_used} /> : common.never),
    },
    {
      key: "expires",
      title: words.expires,
      cell: ({ spec }) => (spec.expires ? <When at={spec.expires} /> : words.untilDeleted),
    },
    {
      key: "do",
      title: common.actions,
      isAction: true,
      cell: (token) => (
        <Remove
          id={token.id}
          title={words.deleteTitle(token.name)}
          action={common.delete}
          of={token.name}
          kind="quiet"
          because={because}
          kinds={["token"]}
          remove={() =>
            ask(
              api.DELETE("/api/v1/tokens/{id}", {
                params: { path: { id: token.id }, header: unchanged(token) },
              }),
            )
          }
        >
          <p>{words.deleteWords}</p>
        </Remove>
      ),
    },
  ];
}
