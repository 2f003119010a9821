import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { tenantsCalled } from "../../api/objects";
import type { Tenant } from "../../api/types";
import { useBecause } from "../../app/because";
import { useDialog } from "../../app/dialog";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { NameFilter, useCalled } from "../../parts/filters/NameFilter";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { type Column, Table } from "../../parts/table/Table";
import { useFormat, useWords } from "../../words";
import { TenantForm } from "./TenantForm";

/** Who has a space of his own, and what may he? */
export function List() {
  const { tenants: words, screens, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const navigate = useNavigate();
  const add = useDialog("add");
  const called = useCalled();
  const query = useQuery(tenantsCalled(called));
  const columns = useColumns();
  return (
    <Page
      title={screens.tenants}
      answer={words.answer}
      actions={
        who.may("system") && (
          <Button kind="primary" because={because} onClick={() => add.open()}>
            {words.add}
          </Button>
        )
      }
    >
      <Panel title={screens.tenants} isFlush beside={<NameFilter />}>
        <Loading of={query}>
          {({ items }) => (
            <Table
              label={screens.tenants}
              columns={columns}
              rows={items}
              rowKey={({ id }) => id}
              empty={<Empty title={called ? common.noneCalled : words.none} />}
            />
          )}
        </Loading>
      </Panel>
      <Modal title={words.add} isOpen={add.isOpen} onClose={add.close}>
        <TenantForm
          onDone={({ id }) => navigate({ to: "/tenants/$id", params: { id } })}
          onCancel={add.close}
        />
      </Modal>
    </Page>
  );
}

function useColumns(): Column<Tenant>[] {
  const { tenants: words, common } = useWords();
  const format = useFormat();
  const yes = (is: boolean | undefined) => (is === false ? common.no : common.yes);
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: ({ id, name }) => (
        <Link to="/tenants/$id" params={{ id }}>
          {name}
        </Link>
      ),
    },
    { key: "description", title: words.description, cell: ({ spec }) => spec.description },
    { key: "entitled", title: words.isTaken, cell: ({ spec }) => yes(spec.is_entitled) },
    { key: "snapshot", title: words.takes, cell: ({ spec }) => yes(spec.may_snapshot) },
    { key: "restore", title: words.restores, cell: ({ spec }) => yes(spec.may_restore) },
    {
      key: "quota",
      title: words.quotaShort,
      isNumber: true,
      cell: ({ spec }) =>
        typeof spec.quota_bytes === "number" ? format.bytes(spec.quota_bytes) : words.noLimit,
    },
  ];
}
