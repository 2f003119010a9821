import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { unchanged, useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { agentState } from "../../api/objects";
import type { Agent } from "../../api/types";
import { useBecause } from "../../app/because";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { CopyLine } from "../../parts/copy/CopyLine";
import { Remove } from "../../parts/dialog/Remove";
import { Facts } from "../../parts/facts/Facts";
import { Notice } from "../../parts/notice/Notice";
import { ProblemNotice } from "../../parts/notice/ProblemNotice";
import { Panel } from "../../parts/panel/Panel";
import { Told } from "../../parts/told/Told";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { AgentStanding } from "./AgentStanding";
import style from "./Agents.module.css";

/** One host: whether it is here, since when not, and what to run there. */
export function AgentPanel({ agent }: { agent: Agent }) {
  const { agents: words } = useWords();
  const state = useQuery(agentState(agent.id)).data;
  return (
    <Panel title={agent.name} beside={<Actions agent={agent} />}>
      <div className={style.stack}>
        <AgentStanding agent={agent} />
        {state?.refused && (
          <Notice is="failed" title={words.refused}>
            <Told of={state.refused} />
          </Notice>
        )}
        <Facts
          of={[
            [words.host, agent.spec.host],
            [words.version, state?.version],
            [words.address, state?.address],
            [words.seen, state?.last_seen && <When key="seen" at={state.last_seen} />],
            [
              words.certificate,
              state?.certificate_expires && <When key="until" at={state.certificate_expires} />,
            ],
            [words.doing, (state?.doing ?? []).join(", ")],
          ]}
        />
        {state?.command && (
          <>
            <p>{words.commandWords}</p>
            <CopyLine text={state.command} label={words.command} />
          </>
        )}
      </div>
    </Panel>
  );
}

function Actions({ agent }: { agent: Agent }) {
  const { agents: words, common } = useWords();
  const because = useBecause();
  const navigate = useNavigate();
  const isOff = agent.spec.is_enabled === false;
  const params = { path: { id: agent.id }, header: unchanged(agent) };
  const change = useChange(["agent"], () =>
    ask(
      api.PATCH("/api/v1/agents/{id}", {
        params,
        body: { spec: { ...agent.spec, is_enabled: isOff } },
      }),
    ),
  );
  return (
    <>
      {change.error && <ProblemNotice error={change.error} />}
      <LinkButton to="/resources/new" search={{ agent: agent.id }}>
        {words.discover}
        <span className="unseen">: {agent.name}</span>
      </LinkButton>
      <Button
        because={because}
        isBusy={change.isPending}
        aria-label={`${isOff ? words.switchOn : words.switchOff}: ${agent.name}`}
        onClick={() => change.mutate(undefined)}
      >
        {isOff ? words.switchOn : words.switchOff}
      </Button>
      <Remove
        id={agent.id}
        title={words.removeTitle(agent.name)}
        action={common.remove}
        of={agent.name}
        name={agent.name}
        because={because}
        kinds={["agent"]}
        remove={() => ask(api.DELETE("/api/v1/agents/{id}", { params }))}
        onDone={() => navigate({ to: "/agents" })}
      >
        <p>{words.removeWords}</p>
      </Remove>
    </>
  );
}
