import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import { agents, resources as resourcesQuery } from "../../../api/queries";
import type { FoundResource } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Checkbox, SelectField } from "../../../parts/field/inputs";
import { Empty } from "../../../parts/notice/Empty";
import { Notice } from "../../../parts/notice/Notice";
import { ProblemNotice } from "../../../parts/notice/ProblemNotice";
import { type Column, Table } from "../../../parts/table/Table";
import { Cure } from "../../../parts/told/Cure";
import { Told } from "../../../parts/told/Told";
import { useWords } from "../../../words";
import { placeOf } from "../choices";
import style from "../Resources.module.css";
import { fresh } from "../screen";
import { useAdd } from "./add";
import { wantedOf } from "./described";
import { Outcomes } from "./Outcomes";

/** Looks on a host for what can be protected, and adds what is chosen. */
export function Found() {
  const { resources: words } = useWords();
  const who = useWho();
  const because = useBecause();
  const { agent = "" } = fresh.useSearch();
  const navigate = useNavigate({ from: fresh.fullPath });
  const hosts = useQuery(agents);
  const isOwn = agent === "";
  const look = useChange([], () =>
    ask(
      isOwn
        ? api.POST("/api/v1/resources/discover")
        : api.POST("/api/v1/agents/{id}/discover", { params: { path: { id: agent } } }),
    ),
  );
  const choose = (id: string) => {
    look.reset();
    navigate({ search: (now) => ({ ...now, agent: id || undefined }) });
  };
  return (
    <div className={style.stack}>
      <SelectField label={words.host} value={agent} onChange={choose}>
        <option value="">{words.ownHost}</option>
        {hosts.data?.items.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </SelectField>
      {isOwn && !who.may("system") ? (
        <p>
          {words.ownHostWords}{" "}
          <Link to="/resources/new" search={{ way: "text" }}>
            {words.ways.text}
          </Link>
        </p>
      ) : (
        <div>
          <Button
            kind="primary"
            because={because}
            isBusy={look.isPending}
            onClick={() => look.mutate(undefined)}
          >
            {look.isPending ? words.looking : words.look}
          </Button>
        </div>
      )}
      {look.error && <ProblemNotice error={look.error} />}
      {look.data?.problems.map((problem) => (
        <Notice key={problem} is="attention" title={<Told of={problem} />} />
      ))}
      {look.data && <Choose key={agent} found={look.data.found} agent={agent} />}
    </div>
  );
}

function Choose({ found, agent }: { found: FoundResource[]; agent: string }) {
  const { resources: words } = useWords();
  const because = useBecause();
  const known = useQuery(resourcesQuery);
  const names = new Set(known.data?.items.map(({ name }) => name));
  const [chosen, setChosen] = useState<string[]>([]);
  const add = useAdd(() => setChosen([]));
  const rows = found.map((each) => ({ ...each, ...wantedOf(each, agent) }));
  const columns = useColumns(names, chosen, setChosen);
  const wanted = rows.filter(({ name }) => chosen.includes(name));
  return (
    <>
      <Table
        label={words.found}
        columns={columns}
        rows={rows}
        rowKey={({ name }) => name}
        isQuiet={({ name }) => names.has(name)}
        empty={<Empty title={words.foundNone} />}
      />
      <div>
        <Button
          kind="primary"
          because={because ?? (wanted.length > 0 ? undefined : words.chooseFirst)}
          isBusy={add.isPending}
          onClick={() => add.mutate(wanted.map(({ name, spec }) => ({ name, spec })))}
        >
          {words.addChosen}
        </Button>
      </div>
      {add.error && <ProblemNotice error={add.error} />}
      {add.data && <Outcomes of={add.data} />}
    </>
  );
}

type Row = FoundResource & ReturnType<typeof wantedOf>;

function useColumns(
  known: Set<string>,
  chosen: string[],
  choose: (names: string[]) => void,
): Column<Row>[] {
  const { resources: words, common, kinds, consistency } = useWords();
  const levels: Record<string, string | undefined> = consistency;
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: ({ name }) =>
        known.has(name) ? (
          <>
            {name} ({words.isKnown})
          </>
        ) : (
          <Checkbox
            label={name}
            checked={chosen.includes(name)}
            onChange={(is) =>
              choose(is ? [...chosen, name] : chosen.filter((each) => each !== name))
            }
          />
        ),
    },
    { key: "kind", title: common.kind, cell: ({ spec }) => kinds[spec.kind] },
    {
      key: "place",
      title: words.place,
      cell: ({ spec }) => <span className={style.place}>{placeOf(spec as never)}</span>,
    },
    { key: "reaches", title: words.reaches, cell: ({ reaches }) => levels[reaches] ?? reaches },
    {
      key: "why",
      title: words.whyNotMore,
      cell: ({ why_not_more }) => (why_not_more ? <Cure of={why_not_more} /> : ""),
    },
  ];
}
