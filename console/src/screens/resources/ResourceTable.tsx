import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { agents, standingOf } from "../../api/queries";
import type { Resource } from "../../api/types";
import { Empty } from "../../parts/notice/Empty";
import { type Column, Table } from "../../parts/table/Table";
import { useWords } from "../../words";
import { placeOf } from "./choices";
import style from "./Resources.module.css";
import { Standing } from "./StandingWords";
import { standingOfParts } from "./standing";

export function ResourceTable(props: { resources: Resource[]; isFiltered: boolean }) {
  const { resources: words, screens } = useWords();
  const columns = useColumns();
  return (
    <Table
      label={screens.resources}
      columns={columns}
      rows={props.resources}
      rowKey={({ id }) => id}
      isQuiet={({ spec }) => spec.is_protected === false}
      empty={
        <Empty title={props.isFiltered ? words.noneFound : words.none}>
          {props.isFiltered ? undefined : words.noneWords}
        </Empty>
      }
    />
  );
}

function useColumns(): Column<Resource>[] {
  const { resources: words, common, kinds, consistency } = useWords();
  const hosts = useQuery(agents);
  const standing = useQuery(standingOf(""));
  const told = new Map(standing.data?.items.map((each) => [each.id, each]));
  const hostOf = (id: string | null | undefined) =>
    id ? (hosts.data?.items.find((agent) => agent.id === id)?.name ?? id) : words.ownHost;
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: ({ id, name }) => (
        <Link to="/resources/$id" params={{ id }}>
          {name}
        </Link>
      ),
    },
    { key: "kind", title: common.kind, cell: ({ spec }) => kinds[spec.kind] },
    {
      key: "protected",
      title: common.state,
      cell: (resource) => (
        <Standing
          resource={resource}
          told={
            resource.spec.kind === "application"
              ? standingOfParts(resource, standing.data?.items ?? [])
              : told.get(resource.id)
          }
        />
      ),
    },
    {
      key: "place",
      title: words.place,
      cell: ({ spec }) => (
        <span className={style.place}>
          {spec.kind === "application"
            ? (spec.components ?? []).map(({ resource }) => resource).join(", ")
            : placeOf(spec)}
        </span>
      ),
    },
    {
      key: "host",
      title: words.host,
      cell: ({ spec }) => (spec.kind === "application" ? "" : hostOf(spec.agent)),
    },
    { key: "tags", title: words.tags, cell: ({ spec }) => (spec.tags ?? []).join(", ") },
    {
      key: "wanted",
      title: words.wantedShort,
      cell: ({ spec }) => (spec.consistency ? consistency[spec.consistency] : words.best),
    },
  ];
}
