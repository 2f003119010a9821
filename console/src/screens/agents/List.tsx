import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { agents as agentsQuery } from "../../api/queries";
import type { Agent } from "../../api/types";
import { useBecause } from "../../app/because";
import { OPENED, useLeave } from "../../app/dialog";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { AgentPanel } from "./AgentPanel";
import { AgentTable } from "./AgentTable";
import { Join } from "./Join";
import { list } from "./screen";

/** So many are shown with all that is known of each; more are a table of links. */
const FEW = 12;

/** Which other hosts are reached, and which are away? */
export function List() {
  const { agents: words, screens } = useWords();
  const who = useWho();
  const because = useBecause();
  const { join } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  const query = useQuery(agentsQuery);
  const leave = useLeave();
  const close = () => leave(() => navigate({ search: {}, replace: true }));
  return (
    <Page
      title={screens.agents}
      answer={words.answer}
      actions={
        who.may("change") && (
          <Button
            kind="primary"
            because={because}
            onClick={() => navigate({ search: { join: true }, state: OPENED })}
          >
            {words.add}
          </Button>
        )
      }
    >
      <Loading of={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Panel title={screens.agents}>
              <Empty title={words.none}>{words.noneWords}</Empty>
            </Panel>
          ) : (
            <Shown agents={items} />
          )
        }
      </Loading>
      <Modal title={words.add} isOpen={join === true} isWide onClose={() => close()}>
        <Join onClose={() => close()} />
      </Modal>
    </Page>
  );
}

function Shown({ agents }: { agents: Agent[] }) {
  if (agents.length > FEW) return <AgentTable agents={agents} />;
  return agents.map((agent) => <AgentPanel key={agent.id} agent={agent} />);
}
