import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import { syncs } from "../../../api/objects";
import type { Storage, SyncRule } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useDialog } from "../../../app/dialog";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Modal } from "../../../parts/dialog/Modal";
import { Remove } from "../../../parts/dialog/Remove";
import { Loading } from "../../../parts/loading/Loading";
import { Empty } from "../../../parts/notice/Empty";
import { ProblemNotice } from "../../../parts/notice/ProblemNotice";
import { Panel } from "../../../parts/panel/Panel";
import { State } from "../../../parts/state/State";
import { type Column, Table } from "../../../parts/table/Table";
import { useFormat, useWords } from "../../../words";
import style from "../Storages.module.css";
import { touches } from "./draft";
import { SyncForm } from "./SyncForm";

/** Second copies: rules that copy to this storage or from it. */
export function Syncs({ storage }: { storage: Storage }) {
  const { storages } = useWords();
  const words = storages.sync;
  const who = useWho();
  const because = useBecause();
  const query = useQuery(syncs);
  const add = useDialog("add-sync");
  const edit = useDialog("sync");
  const columns = useColumns((rule) => edit.open(rule.id));
  const rule = query.data?.items.find(({ id }) => id === edit.of);
  return (
    <Panel
      title={words.title}
      isFlush
      beside={
        who.may("change") && (
          <Button because={because} onClick={() => add.open()}>
            {words.add}
          </Button>
        )
      }
    >
      <Loading of={query} lines={2}>
        {({ items }) => (
          <Table
            label={words.title}
            columns={columns}
            rows={items.filter((rule) => touches(rule, storage.name))}
            rowKey={({ id }) => id}
            isQuiet={({ spec }) => spec.enabled === false}
            empty={<Empty title={words.none}>{words.noneWords}</Empty>}
          />
        )}
      </Loading>
      <Modal title={words.add} isOpen={add.isOpen} isWide onClose={add.close}>
        <SyncForm storage={storage} onClose={add.close} />
      </Modal>
      <Modal title={rule?.name ?? ""} isOpen={rule !== undefined} isWide onClose={edit.close}>
        <SyncForm rule={rule} storage={storage} onClose={edit.close} />
      </Modal>
    </Panel>
  );
}

function useColumns(onChange: (rule: SyncRule) => void): Column<SyncRule>[] {
  const { storages, snapshots, common } = useWords();
  const words = storages.sync;
  const who = useWho();
  const format = useFormat();
  return [
    { key: "name", title: common.name, isHead: true, cell: ({ name }) => name },
    { key: "from", title: words.from, cell: ({ spec }) => spec.from ?? words.allOthers },
    { key: "to", title: words.to, cell: ({ spec }) => spec.to },
    {
      key: "keep",
      title: words.keeps,
      cell: ({ spec }) => format.retention(spec.period.retention ?? "") ?? snapshots.forEver,
    },
    {
      key: "state",
      title: common.state,
      cell: ({ spec }) =>
        spec.enabled === false ? (
          <State is="none">{words.off}</State>
        ) : (
          <State is="good">{words.on}</State>
        ),
    },
    {
      key: "do",
      title: common.actions,
      isAction: true,
      cell: (rule) => who.may("change") && <Actions rule={rule} onChange={() => onChange(rule)} />,
    },
  ];
}

function Actions({ rule, onChange }: { rule: SyncRule; onChange: () => void }) {
  const { storages, common } = useWords();
  const words = storages.sync;
  const because = useBecause();
  const navigate = useNavigate();
  const path = { id: rule.id };
  const run = useChange(
    ["run"],
    () => ask(api.POST("/api/v1/syncs/{id}/run", { params: { path } })),
    ({ id }) => navigate({ to: "/runs/$id", params: { id } }),
  );
  return (
    <div className={style.buttons}>
      <Button
        because={because}
        isBusy={run.isPending}
        aria-label={`${words.runNow}: ${rule.name}`}
        onClick={() => run.mutate(undefined)}
      >
        {words.runNow}
      </Button>
      <Button because={because} aria-label={`${common.edit}: ${rule.name}`} onClick={onChange}>
        {common.edit}
      </Button>
      <Remove
        id={rule.id}
        title={words.deleteTitle(rule.name)}
        action={common.delete}
        of={rule.name}
        kind="quiet"
        because={because}
        kinds={["sync"]}
        remove={() =>
          ask(api.DELETE("/api/v1/syncs/{id}", { params: { path, header: unchanged(rule) } }))
        }
      >
        <p>{words.deleteWords}</p>
      </Remove>
      {run.error && <ProblemNotice error={run.error} />}
    </div>
  );
}
