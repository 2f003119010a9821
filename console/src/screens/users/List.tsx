import { useQuery } from "@tanstack/react-query";
import { usersCalled } from "../../api/objects";
import { tenants } from "../../api/queries";
import type { User } from "../../api/types";
import { useBecause } from "../../app/because";
import { useDialog } from "../../app/dialog";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { NameFilter, useCalled } from "../../parts/filters/NameFilter";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { useWords } from "../../words";
import { Actions } from "./Actions";
import { Dialogs } from "./Dialogs";
import { UserForm } from "./UserForm";

/** Who logs in, and what may he? */
export function List() {
  const { users: words, screens, common } = useWords();
  const because = useBecause();
  const add = useDialog("add");
  const called = useCalled();
  const query = useQuery(usersCalled(called));
  const columns = useColumns();
  return (
    <Page
      title={screens.users}
      answer={words.answer}
      actions={
        <Button kind="primary" because={because} onClick={() => add.open()}>
          {words.add}
        </Button>
      }
    >
      <Panel title={screens.users} isFlush beside={<NameFilter />}>
        <Loading of={query}>
          {({ items }) => (
            <Table
              label={screens.users}
              columns={columns}
              rows={items}
              rowKey={({ id }) => id}
              isQuiet={({ spec }) => spec.is_enabled === false}
              empty={<Empty title={called ? common.noneCalled : words.none} />}
            />
          )}
        </Loading>
      </Panel>
      <Modal title={words.add} isOpen={add.isOpen} onClose={add.close}>
        <UserForm onClose={add.close} />
      </Modal>
      <Dialogs />
    </Page>
  );
}

function useColumns(): Column<User>[] {
  const { users: words, common, roles } = useWords();
  const known = useQuery(tenants);
  return [
    { key: "name", title: common.name, isHead: true, cell: ({ name }) => name },
    {
      key: "tenant",
      title: common.tenant,
      cell: (user) => known.data?.items.find(({ id }) => id === user.tenant)?.name,
    },
    { key: "role", title: words.role, cell: ({ spec }) => roles[spec.role] },
    {
      key: "state",
      title: common.state,
      cell: ({ spec }) =>
        spec.is_enabled === false ? (
          <State is="none">{words.off}</State>
        ) : (
          <State is="good">{spec.must_change_password ? words.mustChange : words.on}</State>
        ),
    },
    { key: "do", title: common.actions, isAction: true, cell: (user) => <Actions user={user} /> },
  ];
}
