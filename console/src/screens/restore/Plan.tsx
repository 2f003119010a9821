import type { PlannedItem, RestorePlan } from "../../api/types";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Told } from "../../parts/told/Told";
import { useFormat, useWords } from "../../words";
import { Checks } from "./Checks";
import style from "./Plan.module.css";
import { sumsOf } from "./planned";
import { detail } from "./screen";
import { Whole } from "./Whole";

interface Props {
  plan: RestorePlan;
  /** Id of the snapshot that it is of. */
  snapshot: string;
  isAgreed: boolean;
}

/** What will be done, in order of what one must know first. */
export function PlanPanels({ plan, snapshot, isAgreed }: Props) {
  const { restore } = useWords();
  const words = restore.plan;
  const format = useFormat();
  const isAll = detail.useSearch().all || plan.items.length === 0;
  const { created, replaced, refused, bytes } = sumsOf(plan);
  return (
    <>
      {isAll && plan.manager_command && <Whole snapshot={snapshot} />}
      {plan.items.length > 0 && <Checks plan={plan} />}
      {plan.items.length > 0 && (
        <Panel
          title={isAgreed ? words.agreed : words.title}
          beside={words.sums(created, replaced, refused, format.bytes(bytes))}
          isFlush
        >
          <Items items={plan.items} />
          <p className={style.kept}>{words.kept}</p>
        </Panel>
      )}
      {plan.missing.length > 0 && (
        <Panel title={words.refused}>
          <ul className={style.list}>
            {plan.missing.map(({ name, reason }) => (
              <li key={name}>
                <State is="failed">{name}</State>
                <p>
                  <Told of={reason} />
                </p>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {plan.commands.length > 0 && (
        <Panel title={words.commands}>
          <p className={style.words}>{words.commandsWords}</p>
          <ol className={style.commands}>
            {plan.commands.map((command, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a plan never changes, and one command may run twice
              <li key={at}>
                <code>{command}</code>
              </li>
            ))}
          </ol>
        </Panel>
      )}
    </>
  );
}

function Items({ items }: { items: PlannedItem[] }) {
  const { restore } = useWords();
  const words = restore.plan;
  const format = useFormat();
  const columns: Column<PlannedItem>[] = [
    { key: "name", title: words.columns.name, isHead: true, cell: ({ name }) => name },
    {
      key: "does",
      title: words.columns.does,
      cell: ({ replaces }) => (
        <State is={replaces ? "attention" : "good"}>
          {replaces ? words.replaced : words.created}
        </State>
      ),
    },
    { key: "to", title: words.columns.to, cell: ({ to }) => <Told of={to} isTitle /> },
    {
      key: "size",
      title: words.columns.size,
      isNumber: true,
      cell: ({ bytes }) => format.bytes(bytes),
    },
    {
      key: "steps",
      title: words.columns.steps,
      cell: ({ steps }) => (
        <ol className={style.steps}>
          {steps.map((step) => (
            <li key={step}>
              <Told of={step} />
            </li>
          ))}
        </ol>
      ),
    },
  ];
  return (
    <Table
      label={words.title}
      columns={columns}
      rows={items}
      rowKey={({ name, tenant }) => `${tenant} ${name}`}
    />
  );
}
