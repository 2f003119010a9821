import { useQuery } from "@tanstack/react-query";
import { agentState } from "../../api/objects";
import type { Agent } from "../../api/types";
import { State } from "../../parts/state/State";
import { useWords } from "../../words";

/** Whether a host is there, in a word. */
export function AgentStanding({ agent }: { agent: Agent }) {
  const { agents: words } = useWords();
  const state = useQuery(agentState(agent.id)).data;
  if (agent.spec.is_enabled === false) return <State is="none">{words.off}</State>;
  if (!state) return null;
  return (
    <State is={state.is_here && !state.refused ? "good" : "failed"}>
      {state.is_here ? words.here : words.away}
    </State>
  );
}
