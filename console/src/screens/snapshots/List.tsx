import { Link, useNavigate } from "@tanstack/react-router";
import { OPENED, useLeave } from "../../app/dialog";
import { useIsLost } from "../../app/live";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { Tabs } from "../../parts/tabs/Tabs";
import { useWords } from "../../words";
import { Choices } from "./Choices";
import { NewDialog } from "./new/NewDialog";
import { Rows } from "./Rows";
import { list } from "./screen";
import { TABS } from "./tabs";
import { Transfers } from "./transfers/Transfers";
import { Upload } from "./upload/Upload";

export function List() {
  const { snapshots: words, screens, find } = useWords();
  const asked = list.useSearch();
  const tab = asked.tab ?? "all";
  return (
    <Page
      title={screens.snapshots}
      answer={words.answer[tab]}
      actions={
        <>
          <LinkButton to="/snapshots/find" search={{ resource: asked.resource }}>
            {find.title}
          </LinkButton>
          <Upload />
          <Take />
        </>
      }
    >
      <Transfers />
      <Tabs label={screens.snapshots}>
        {TABS.map((each) => (
          <Link
            key={each}
            to="/snapshots"
            search={(now) => ({ ...now, tab: each === "all" ? undefined : each })}
            activeOptions={{ explicitUndefined: true }}
            aria-current={each === tab ? "page" : undefined}
          >
            {words.tabs[each]}
          </Link>
        ))}
      </Tabs>
      <Panel title={words.tabs[tab]} isFlush beside={<Choices />}>
        <Rows tab={tab} />
      </Panel>
    </Page>
  );
}

/** The dialog has an address: other screens lead to it. */
function Take() {
  const { snapshots: words, common } = useWords();
  const who = useWho();
  const isLost = useIsLost();
  const { new: isOpen } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  const leave = useLeave();
  if (!who.may("snapshot")) return null;
  const open = () => navigate({ search: (now) => ({ ...now, new: true }), state: OPENED });
  const close = () =>
    leave(() => navigate({ search: (now) => ({ ...now, new: undefined }), replace: true }));
  return (
    <>
      <Button kind="primary" because={isLost ? common.offline : undefined} onClick={open}>
        {words.take}
      </Button>
      <NewDialog isOpen={isOpen === true} onClose={close} />
    </>
  );
}
