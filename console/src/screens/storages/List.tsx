import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { storages } from "../../api/queries";
import { useBecause } from "../../app/because";
import { OPENED, useLeave } from "../../app/dialog";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { AddForm } from "./add/AddForm";
import { StorageTable } from "./StorageTable";
import { list } from "./screen";

/** Where does it lie, and for how long does it fit? */
export function List() {
  const { storages: words, screens } = useWords();
  const query = useQuery(storages);
  return (
    <Page title={screens.storages} answer={words.answer} actions={<Add />}>
      <Panel title={screens.storages} isFlush>
        <Loading of={query}>{({ items }) => <StorageTable storages={items} />}</Loading>
      </Panel>
    </Page>
  );
}

function Add() {
  const { storages: words } = useWords();
  const who = useWho();
  const because = useBecause();
  const { new: isOpen } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  const leave = useLeave();
  if (!who.may("change")) return null;
  const close = () => leave(() => navigate({ search: {}, replace: true }));
  return (
    <>
      <Button
        kind="primary"
        because={because}
        onClick={() => navigate({ search: { new: true }, state: OPENED })}
      >
        {words.add}
      </Button>
      <Modal title={words.add} isOpen={isOpen === true} isWide onClose={() => close()}>
        <AddForm onClose={() => close()} />
      </Modal>
    </>
  );
}
