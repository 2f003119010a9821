import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { agentState } from "../../api/objects";
import type { Agent } from "../../api/types";
import { Panel } from "../../parts/panel/Panel";
import { type Column, Table } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { AgentStanding } from "./AgentStanding";

/** Many hosts: only those in sight are asked how they are. */
export function AgentTable({ agents }: { agents: Agent[] }) {
  const { screens } = useWords();
  return (
    <Panel title={screens.agents} isFlush>
      <Table
        label={screens.agents}
        columns={useColumns()}
        rows={agents}
        rowKey={({ id }) => id}
        isQuiet={({ spec }) => spec.is_enabled === false}
      />
    </Panel>
  );
}

const useState = (id: string) => useQuery(agentState(id)).data;

function useColumns(): Column<Agent>[] {
  const { agents: words, common } = useWords();
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: ({ id, name }) => (
        <Link to="/agents/$id" params={{ id }}>
          {name}
        </Link>
      ),
    },
    { key: "state", title: common.state, cell: (agent) => <AgentStanding agent={agent} /> },
    { key: "host", title: words.host, cell: ({ spec }) => spec.host },
    { key: "version", title: words.version, cell: ({ id }) => <Version id={id} /> },
    { key: "seen", title: words.seen, cell: ({ id }) => <Seen id={id} /> },
  ];
}

const Version = ({ id }: { id: string }) => useState(id)?.version ?? null;

function Seen({ id }: { id: string }) {
  const at = useState(id)?.last_seen;
  return at ? <When at={at} short /> : null;
}
