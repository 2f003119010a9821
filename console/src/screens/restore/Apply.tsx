import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask } from "../../api/client";
import type { RestorePlan } from "../../api/types";
import { useIsLost } from "../../app/live";
import { Button } from "../../parts/button/Button";
import { Form } from "../../parts/field/Form";
import { TypedName } from "../../parts/field/TypedName";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { sumsOf } from "./planned";

/** The last word: with the name typed, where something that is there is replaced. */
export function Apply({ plan }: { plan: RestorePlan }) {
  const { restore, common } = useWords();
  const words = restore.apply;
  const client = useQueryClient();
  const isLost = useIsLost();
  const [typed, setTyped] = useState("");
  const { replaced } = sumsOf(plan);
  const { id } = plan.run;
  const name = plan.confirm ?? undefined;
  const apply = useMutation({
    mutationFn: () =>
      ask(
        api.POST("/api/v1/restores/{id}/apply", {
          params: { path: { id } },
          body: { confirm: name ? typed : null },
        }),
      ),
    onSuccess: () => {
      client.invalidateQueries({ queryKey: ["run"] });
      return client.invalidateQueries({ queryKey: ["restore"] });
    },
  });
  if (plan.items.length === 0) return null;
  const isAgreed = !name || typed === name;
  const because = isLost
    ? common.offline
    : plan.is_blocked
      ? words.blocked
      : isAgreed
        ? undefined
        : common.typeFirst;
  return (
    <Panel title={words.title}>
      <Form
        onSubmit={() => !because && apply.mutate()}
        error={apply.error}
        actions={
          <Button
            type="submit"
            kind={replaced > 0 ? "danger" : "primary"}
            isBusy={apply.isPending}
            because={because}
          >
            {words.do}
          </Button>
        }
      >
        <p>
          {plan.is_blocked ? words.blocked : replaced > 0 ? words.replaces(replaced) : words.adds}
        </p>
        {name && !plan.is_blocked && <TypedName name={name} typed={typed} onChange={setTyped} />}
      </Form>
    </Panel>
  );
}
