import type { RestorePlan } from "../../api/types";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Cure } from "../../parts/told/Cure";
import { Told } from "../../parts/told/Told";
import { useWords } from "../../words";
import { checksOf, type NamedCheck, VERDICTS } from "./planned";

/** What was looked at before anything is done: whatever stands in the way first, with its cure. */
export function Checks({ plan }: { plan: RestorePlan }) {
  const { restore, verdicts } = useWords();
  const words = restore.checks;
  const checks = checksOf(plan);
  const count = (outcome: NamedCheck["outcome"]) =>
    checks.filter((check) => check.outcome === outcome).length;
  const blocks = count("block");
  const warns = count("warn");
  const columns: Column<NamedCheck>[] = [
    {
      key: "outcome",
      title: words.columns.outcome,
      cell: ({ outcome }) => <State is={VERDICTS[outcome]}>{verdicts[outcome]}</State>,
    },
    {
      key: "what",
      title: words.columns.what,
      isHead: true,
      cell: ({ of, name }) => `${of}: ${words.names[name] ?? name}`,
    },
    {
      key: "found",
      title: words.columns.found,
      cell: ({ message, cure }) => (
        <>
          <p>
            <Told of={message} />
          </p>
          {cure && (
            <div>
              <strong>{words.cure}:</strong> <Cure of={cure} />
            </div>
          )}
        </>
      ),
    },
  ];
  return (
    <>
      {plan.is_blocked && (
        <Notice is="failed" title={words.blocked}>
          {words.blockedWords}
        </Notice>
      )}
      {checks.length > 0 && (
        <Panel title={words.title} beside={words.sums(blocks, warns, count("pass"))} isFlush>
          <Table
            label={words.title}
            columns={columns}
            rows={checks}
            rowKey={({ of, name, message }) => `${of} ${name} ${message}`}
          />
        </Panel>
      )}
    </>
  );
}
