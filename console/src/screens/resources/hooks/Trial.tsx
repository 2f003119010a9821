import { useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import { Button } from "../../../parts/button/Button";
import { ProblemNotice } from "../../../parts/notice/ProblemNotice";
import { State } from "../../../parts/state/State";
import { Told } from "../../../parts/told/Told";
import { useFormat, useWords } from "../../../words";
import style from "../Resources.module.css";

interface Props {
  id: string;
  hook: number;
  because: string | undefined;
}

/** Runs a hook now, and shows what came of it. */
export function Trial({ id, hook, because }: Props) {
  const { resources } = useWords();
  const words = resources.hooks;
  const format = useFormat();
  const attempt = useChange([], () =>
    ask(api.POST("/api/v1/resources/{id}/hooks/try", { params: { path: { id } }, body: { hook } })),
  );
  const { data } = attempt;
  return (
    <div className={style.stack}>
      <div>
        <Button
          because={because}
          isBusy={attempt.isPending}
          onClick={() => attempt.mutate(undefined)}
        >
          {attempt.isPending ? words.trying : words.try}
          <span className="unseen">: {words.hook(hook + 1)}</span>
        </Button>
      </div>
      {attempt.error && <ProblemNotice error={attempt.error} />}
      {data && (
        <div role="status" className={style.stack}>
          <State is={data.failure ? "failed" : "good"}>
            {data.failure ? (
              <Told of={data.failure} />
            ) : (
              words.worked(format.duration(data.seconds))
            )}
          </State>
          <section aria-label={words.output}>
            <pre className={style.output}>{data.output || words.silent}</pre>
          </section>
        </div>
      )}
    </div>
  );
}
