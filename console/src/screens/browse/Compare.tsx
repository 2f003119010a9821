import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { rowsOf, snapshots as snapshotsQuery } from "../../api/queries";
import type { Snapshot } from "../../api/types";
import { Button } from "../../parts/button/Button";
import { Fields } from "../../parts/field/Form";
import { SelectField } from "../../parts/field/inputs";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useFormat, useWords } from "../../words";
import { Trail } from "./Crumbs";
import { Differing } from "./Differing";
import { beforeOf, isBeside } from "./pair";
import type { Compared } from "./place";
import { compare } from "./screen";

/** What differs between two snapshots, directory by directory. */
export function Compare() {
  const { browse: words } = useWords();
  const query = useInfiniteQuery(snapshotsQuery({}));
  return (
    <Page title={words.compareTwo} answer={words.compareWords} trail={<Way />}>
      <Loading of={query}>
        {(data) => (
          <Two
            all={rowsOf(data)}
            more={
              query.hasNextPage && (
                <Button isBusy={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
                  {words.offerOlder}
                </Button>
              )
            }
          />
        )}
      </Loading>
    </Page>
  );
}

function Way() {
  const { browse: words } = useWords();
  const { from, to, path, hex } = compare.useSearch();
  return (
    <Trail
      place={{ path, hex }}
      root={
        <Link to="/browse/compare" search={{ from, to }} activeOptions={{ exact: true }}>
          {words.root}
        </Link>
      }
      link={(at, name) => (
        <Link
          to="/browse/compare"
          search={{ from, to, path: at.path, hex: at.hex }}
          activeOptions={{ exact: true }}
        >
          {name}
        </Link>
      )}
    />
  );
}

function Two({ all, more }: { all: Snapshot[]; more: ReactNode }) {
  const { browse: words } = useWords();
  const asked = compare.useSearch();
  const navigate = useNavigate({ from: compare.fullPath });
  const to = all.find(({ id }) => id === asked.to) ?? (asked.to ? undefined : all[0]);
  const from = asked.from ?? (to && beforeOf(all, to)?.id);
  const toId = asked.to ?? to?.id;
  const change = (over: Partial<Compared>) => navigate({ search: (now) => ({ ...now, ...over }) });
  return (
    <>
      <Panel title={words.which} beside={more}>
        <Fields>
          <Which
            label={words.older}
            value={from}
            all={to ? all.filter((each) => isBeside(to, each)) : all}
            onChange={(id) => change({ from: id, to: toId })}
          />
          <Which
            label={words.newer}
            value={toId}
            all={all}
            onChange={(id) => change({ to: id, from: undefined })}
          />
        </Fields>
      </Panel>
      {from && toId ? (
        <Differing from={from} to={toId} at={{ path: asked.path, hex: asked.hex }} />
      ) : (
        <Empty title={words.noPair}>{words.noPairWords}</Empty>
      )}
    </>
  );
}

interface WhichProps {
  label: string;
  value: string | undefined;
  all: Snapshot[];
  onChange: (id: string | undefined) => void;
}

function Which({ label, value, all, onChange }: WhichProps) {
  const { snapshots } = useWords();
  const format = useFormat();
  const isListed = all.some(({ id }) => id === value);
  return (
    <SelectField label={label} value={value ?? ""} onChange={(id) => onChange(id || undefined)}>
      {!isListed && <option value={value ?? ""}>{value?.slice(0, 8) ?? ""}</option>}
      {all.map(({ id, time, name, scope }) => (
        <option key={id} value={id}>
          {format.moment(new Date(time))}, {name || snapshots.unnamed(snapshots.scopes[scope])}
        </option>
      ))}
    </SelectField>
  );
}
