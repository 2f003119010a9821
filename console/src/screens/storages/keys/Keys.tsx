import { useQuery } from "@tanstack/react-query";
import { api, ask } from "../../../api/client";
import { storageKeys } from "../../../api/objects";
import type { KeySlot, Storage } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useDialog } from "../../../app/dialog";
import { Button } from "../../../parts/button/Button";
import { Modal } from "../../../parts/dialog/Modal";
import { Remove } from "../../../parts/dialog/Remove";
import { Loading } from "../../../parts/loading/Loading";
import { Empty } from "../../../parts/notice/Empty";
import { Panel } from "../../../parts/panel/Panel";
import { State } from "../../../parts/state/State";
import { type Column, Table } from "../../../parts/table/Table";
import { When } from "../../../parts/when/When";
import { useWords } from "../../../words";
import { KeyForm } from "./KeyForm";
import { Sheet } from "./Sheet";

/** What opens the repository there: whoever has one of these reads everything in it. */
export function Keys({ storage }: { storage: Storage }) {
  const { storages } = useWords();
  const words = storages.keys;
  const because = useBecause();
  const dialog = useDialog("key");
  const query = useQuery(storageKeys(storage.id));
  const columns = useColumns(storage);
  return (
    <Panel
      title={words.title}
      isFlush
      beside={
        <Button because={because} onClick={() => dialog.open()}>
          {words.add}
        </Button>
      }
    >
      <Loading of={query}>
        {(slots) => (
          <Table
            label={words.title}
            columns={columns}
            rows={slots}
            rowKey={({ id }) => id}
            empty={<Empty title={words.none}>{words.noneWords}</Empty>}
          />
        )}
      </Loading>
      <Sheet />
      <Modal title={words.add} isOpen={dialog.isOpen} onClose={dialog.close}>
        <KeyForm storage={storage} onClose={dialog.close} />
      </Modal>
    </Panel>
  );
}

const nameOf = (slot: KeySlot): string => slot.label || slot.id.slice(0, 8);

function useColumns(storage: Storage): Column<KeySlot>[] {
  const { storages, common } = useWords();
  const words = storages.keys;
  const because = useBecause();
  return [
    { key: "label", title: common.name, isHead: true, cell: nameOf },
    { key: "kind", title: common.kind, cell: ({ kind }) => words.kinds[kind] ?? kind },
    {
      key: "created",
      title: words.made,
      cell: ({ created }) => created && <When at={created} />,
    },
    {
      key: "state",
      title: common.state,
      cell: ({ problem, is_own }) =>
        problem ? <State is="failed">{problem}</State> : is_own && words.isOwn,
    },
    {
      key: "remove",
      title: common.actions,
      isAction: true,
      cell: (slot) =>
        slot.is_own ? null : (
          <Remove
            id={slot.id}
            title={words.removeTitle(nameOf(slot))}
            action={common.remove}
            of={nameOf(slot)}
            name={nameOf(slot)}
            kind="quiet"
            because={because}
            kinds={["storage"]}
            remove={() =>
              ask(
                api.DELETE("/api/v1/storages/{id}/keys/{slot}", {
                  params: { path: { id: storage.id, slot: slot.id } },
                }),
              )
            }
          >
            <p>{words.removeWords}</p>
          </Remove>
        ),
    },
  ];
}
