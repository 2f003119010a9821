import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { agent as agentQuery } from "../../api/objects";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { useWords } from "../../words";
import { AgentPanel } from "./AgentPanel";
import { detail } from "./screen";

/** One host of many. */
export function Detail() {
  const { screens } = useWords();
  const { id } = detail.useParams();
  const query = useQuery(agentQuery(id));
  return (
    <Loading of={query} screen="agents">
      {(agent) => (
        <Page
          title={agent.name}
          trail={
            <Link to="/agents" activeOptions={{ exact: true }}>
              {screens.agents}
            </Link>
          }
        >
          <AgentPanel agent={agent} />
        </Page>
      )}
    </Loading>
  );
}
