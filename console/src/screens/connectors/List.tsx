import { useQuery } from "@tanstack/react-query";
import { unchanged, useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { connector as connectorQuery } from "../../api/objects";
import { connectors as connectorsQuery } from "../../api/queries";
import type { Connector } from "../../api/types";
import { useBecause } from "../../app/because";
import { useDialog } from "../../app/dialog";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { Remove } from "../../parts/dialog/Remove";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { ProblemNotice } from "../../parts/notice/ProblemNotice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Cure } from "../../parts/told/Cure";
import { useWords } from "../../words";
import { placeOf } from "../resources/choices";
import { ConnectorForm } from "./ConnectorForm";
import style from "./Connectors.module.css";

/** Servers that resources are reached through, and whether they let us in. */
export function List() {
  const { connectors: words, screens, common } = useWords();
  const because = useBecause();
  const query = useQuery(connectorsQuery);
  const add = useDialog("add");
  const edit = useDialog("edit");
  const one = useQuery({ ...connectorQuery(edit.of ?? ""), enabled: edit.isOpen });
  const columns = useColumns(({ id }) => edit.open(id));
  return (
    <Page
      title={screens.connectors}
      answer={words.answer}
      actions={
        <Button kind="primary" because={because} onClick={() => add.open()}>
          {words.add}
        </Button>
      }
    >
      <Panel title={screens.connectors} isFlush>
        <Loading of={query}>
          {({ items }) => (
            <Table
              label={screens.connectors}
              columns={columns}
              rows={items}
              rowKey={({ id }) => id}
              empty={<Empty title={words.none}>{words.noneWords}</Empty>}
            />
          )}
        </Loading>
      </Panel>
      <Modal title={words.add} isOpen={add.isOpen} onClose={add.close}>
        <ConnectorForm onClose={add.close} />
      </Modal>
      <Modal title={one.data?.name ?? common.edit} isOpen={edit.isOpen} onClose={edit.close}>
        <Loading of={one}>
          {(connector) => <ConnectorForm connector={connector} onClose={edit.close} />}
        </Loading>
      </Modal>
    </Page>
  );
}

function useColumns(onChange: (connector: Connector) => void): Column<Connector>[] {
  const { connectors: words, common } = useWords();
  return [
    { key: "name", title: common.name, isHead: true, cell: ({ name }) => name },
    { key: "kind", title: words.speaks, cell: ({ spec }) => spec.connector },
    { key: "place", title: words.place, cell: ({ spec }) => placeOf(spec as never) },
    {
      key: "password",
      title: words.password,
      cell: ({ spec }) => (spec.has_password ? common.yes : common.no),
    },
    {
      key: "do",
      title: common.actions,
      isAction: true,
      cell: (connector) => <Actions connector={connector} onChange={() => onChange(connector)} />,
    },
  ];
}

function Actions({ connector, onChange }: { connector: Connector; onChange: () => void }) {
  const { connectors: words, common, consistency } = useWords();
  const because = useBecause();
  const { name } = connector;
  const path = { id: connector.id };
  const check = useChange([], () =>
    ask(api.POST("/api/v1/connectors/{id}/check", { params: { path } })),
  );
  const levels: Record<string, string | undefined> = consistency;
  return (
    <div className={style.stack}>
      <div className={style.buttons}>
        <Button
          because={because}
          isBusy={check.isPending}
          aria-label={`${words.check}: ${name}`}
          onClick={() => check.mutate(undefined)}
        >
          {words.check}
        </Button>
        <Button because={because} aria-label={`${common.edit}: ${name}`} onClick={onChange}>
          {common.edit}
        </Button>
        <Remove
          id={connector.id}
          title={words.removeTitle(name)}
          action={common.remove}
          of={name}
          kind="quiet"
          because={because}
          kinds={["connector"]}
          remove={() =>
            ask(
              api.DELETE("/api/v1/connectors/{id}", {
                params: { path, header: unchanged(connector) },
              }),
            )
          }
        >
          <p>{words.removeWords}</p>
        </Remove>
      </div>
      {check.error && <ProblemNotice error={check.error} />}
      {check.data && (
        <div role="status">
          <State is={check.data.why_not_more ? "attention" : "good"}>
            {words.reaches(levels[check.data.reaches] ?? check.data.reaches)}
          </State>
          {check.data.why_not_more && <Cure of={check.data.why_not_more} />}
        </div>
      )}
    </div>
  );
}
