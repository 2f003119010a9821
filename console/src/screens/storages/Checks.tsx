import { useQuery } from "@tanstack/react-query";
import { useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { Problem } from "../../api/problem";
import { storageState } from "../../api/queries";
import type { Check, StorageState } from "../../api/types";
import { useBecause } from "../../app/because";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { ProblemNotice } from "../../parts/notice/ProblemNotice";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Cure } from "../../parts/told/Cure";
import { Told } from "../../parts/told/Told";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { standingOfCheck } from "./standing";

/** Nobody looked at it yet. */
const NOTHING: StorageState = { checked: "", checks: [], is_good: true };

/** What was looked at, what was found, and what helps. */
export function Checks({ id }: { id: string }) {
  const { storages: words } = useWords();
  const who = useWho();
  const because = useBecause();
  const query = useQuery(storageState(id));
  const columns = useColumns();
  const isUnseen = query.error instanceof Problem && query.error.status === 404;
  const check = useChange(["storage", "status"], () =>
    ask(api.POST("/api/v1/storages/{id}/check", { params: { path: { id } } })),
  );
  return (
    <Panel
      title={words.checks}
      isFlush
      beside={
        <>
          {query.data && (
            <span>
              {words.checked} <When at={query.data.checked} />
            </span>
          )}
          {who.may("change") && (
            <Button
              because={because}
              isBusy={check.isPending}
              onClick={() => check.mutate(undefined)}
            >
              {words.checkNow}
            </Button>
          )}
        </>
      }
    >
      {check.error && <ProblemNotice error={check.error} />}
      <Loading of={isUnseen ? { ...query, data: NOTHING } : query}>
        {({ checks }) => (
          <Table
            label={words.checks}
            columns={columns}
            rows={checks}
            rowKey={({ name }) => name}
            empty={<Empty title={words.noChecks} />}
          />
        )}
      </Loading>
    </Panel>
  );
}

function useColumns(): Column<Check>[] {
  const { storages: words, verdicts, common } = useWords();
  return [
    {
      key: "name",
      title: words.check,
      isHead: true,
      cell: ({ name }) => words.checkNames[name] ?? name,
    },
    {
      key: "outcome",
      title: common.state,
      cell: (check) => <State is={standingOfCheck(check)}>{verdicts[check.outcome]}</State>,
    },
    { key: "message", title: words.found, cell: ({ message }) => <Told of={message} /> },
    { key: "cure", title: words.cure, cell: ({ cure }) => (cure ? <Cure of={cure} /> : "") },
  ];
}
