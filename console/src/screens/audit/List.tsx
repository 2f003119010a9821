import { useInfiniteQuery } from "@tanstack/react-query";
import { useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { audit as auditQuery } from "../../api/objects";
import { rowsOf } from "../../api/queries";
import type { AuditEntry } from "../../api/types";
import { Button } from "../../parts/button/Button";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Notice } from "../../parts/notice/Notice";
import { ProblemNotice } from "../../parts/notice/ProblemNotice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Told } from "../../parts/told/Told";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { exportAudit } from "./export";

/** Who did what, and is the log whole? */
export function List() {
  const { audit: words, screens } = useWords();
  const query = useInfiniteQuery(auditQuery());
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  const check = useChange([], () => ask(api.GET("/api/v1/audit/check")));
  const file = useChange([], exportAudit);
  const columns = useColumns();
  return (
    <Page
      title={screens.audit}
      answer={words.answer}
      actions={
        <>
          <Button isBusy={check.isPending} onClick={() => check.mutate(undefined)}>
            {words.check}
          </Button>
          <Button isBusy={file.isPending} onClick={() => file.mutate(undefined)}>
            {words.export}
          </Button>
        </>
      }
    >
      {(check.error ?? file.error) && <ProblemNotice error={check.error ?? file.error} />}
      {check.data && <Checked {...check.data} />}
      <Panel title={screens.audit} isFlush>
        <Loading of={query} lines={8}>
          {(data) => (
            <Table
              label={screens.audit}
              columns={columns}
              rows={rowsOf(data)}
              rowKey={({ n }) => String(n)}
              onNearEnd={more}
              empty={<Empty title={words.none} />}
            />
          )}
        </Loading>
        {more && (
          <p>
            <Button kind="quiet" onClick={() => more()}>
              {words.older}
            </Button>
          </p>
        )}
      </Panel>
    </Page>
  );
}

interface CheckedProps {
  is_whole: boolean;
  entries: number;
  head: string;
  broken_at?: number | null;
}

function Checked({ is_whole, entries, head, broken_at }: CheckedProps) {
  const { audit: words } = useWords();
  const format = useFormat();
  if (!is_whole) {
    return (
      <Notice is="failed" isNews title={words.broken(format.number(broken_at ?? 0))}>
        {words.brokenWords}
      </Notice>
    );
  }
  return (
    <Notice is="good" isNews title={words.whole(format.number(entries))}>
      {words.head} <code>{head}</code>
    </Notice>
  );
}

function useColumns(): Column<AuditEntry>[] {
  const { audit: words, common } = useWords();
  return [
    { key: "n", title: words.n, isNumber: true, cell: ({ n }) => n },
    { key: "time", title: common.time, cell: ({ time }) => <When at={time} /> },
    { key: "actor", title: words.actor, isHead: true, cell: ({ actor }) => actor },
    { key: "action", title: words.action, cell: ({ action }) => <code>{action}</code> },
    { key: "object", title: words.object, cell: ({ object }) => object },
    {
      key: "outcome",
      title: words.outcome,
      cell: ({ outcome }) => (
        <State is={GOOD.has(outcome) ? "good" : "attention"}>
          <Told of={outcome} isTitle />
        </State>
      ),
    },
  ];
}

const GOOD: ReadonlySet<string> = new Set(["ok", "done", "success", "succeeded"]);
