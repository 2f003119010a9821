import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { api, ask } from "../../api/client";
import { agents } from "../../api/queries";
import type { HostStanding, Restore } from "../../api/types";
import { useIsLost } from "../../app/live";
import { Button } from "../../parts/button/Button";
import { Form } from "../../parts/field/Form";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { Told } from "../../parts/told/Told";
import { useWords } from "../../words";
import style from "./Plan.module.css";
import { waysOf } from "./planned";

/** It ended in the middle: what its hosts have of it, on with it or back. */
export function Interrupted({ restore }: { restore: Restore }) {
  const { restore: all, common } = useWords();
  const words = all.interrupted;
  const isLost = useIsLost();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { id } = restore.run;
  const params = { path: { id } };
  const follow = useMutation({
    mutationFn: (way: "resume" | "undo") =>
      ask(
        way === "resume"
          ? api.POST("/api/v1/restores/{id}/resume", { params })
          : api.POST("/api/v1/restores/{id}/undo", { params }),
      ),
    onSuccess: (run) => {
      client.invalidateQueries({ queryKey: ["restore"] });
      client.invalidateQueries({ queryKey: ["run"] });
      navigate({ to: "/runs/$id", params: { id: run.id } });
    },
  });
  const ways = waysOf(restore);
  const because = (is: boolean) => (isLost ? common.offline : is ? undefined : words.notNow);
  return (
    <Panel title={words.title}>
      <Form
        onSubmit={() => ways.resume && !isLost && follow.mutate("resume")}
        error={follow.error}
        actions={
          <>
            <Button
              because={because(ways.undo)}
              isBusy={follow.isPending}
              onClick={() => follow.mutate("undo")}
            >
              {words.undo}
            </Button>
            <Button
              type="submit"
              kind="primary"
              because={because(ways.resume)}
              isBusy={follow.isPending}
            >
              {words.resume}
            </Button>
          </>
        }
      >
        <p>{words.words}</p>
        <ul className={style.list}>
          {(restore.hosts ?? []).map((host) => (
            <Host key={host.agent ?? ""} host={host} />
          ))}
        </ul>
      </Form>
    </Panel>
  );
}

function Host({ host }: { host: HostStanding }) {
  const { restore } = useWords();
  const words = restore.interrupted;
  const known = useQuery(agents);
  const agent = known.data?.items.find(({ id }) => id === host.agent);
  const name = agent?.name ?? host.agent ?? restore.new.ownHost;
  if (host.unknown) {
    return (
      <li>
        <State is="attention">{name}</State>
        <p>
          <Told of={host.unknown} />
        </p>
      </li>
    );
  }
  const { left } = host;
  return (
    <li>
      <State is={left ? "attention" : "good"}>{name}</State>
      <p>
        {left ? words.left(left.begun, left.steps, left.names.join(", ")) : words.nothingLeft}
        {left?.is_running && ` ${words.running}`}
        {left?.is_beyond_return && ` ${words.beyond}`}
        {left?.is_going_back && ` ${words.goingBack}`}
      </p>
    </li>
  );
}
