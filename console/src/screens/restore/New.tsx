import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { snapshotItems, snapshot as snapshotQuery } from "../../api/queries";
import { plan as planQuery } from "../../api/restores";
import type { Snapshot, SnapshotItem } from "../../api/types";
import { useIsLost } from "../../app/live";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { Form } from "../../parts/field/Form";
import { Loading } from "../../parts/loading/Loading";
import { Notice } from "../../parts/notice/Notice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { type Asked, lackOf, newRestore, whatOf } from "./asked";
import { choicesOf, expanded, first } from "./choices";
import { From } from "./From";
import { begin } from "./screen";
import { useOwn } from "./tenant";
import { WhatPanel } from "./What";
import { WherePanel } from "./Where";
import { Whole } from "./Whole";

export function New() {
  const { restore: words, screens } = useWords();
  const { snapshot } = begin.useSearch();
  return (
    <Page
      title={words.new.title}
      answer={words.new.answer}
      trail={
        <Link to="/restore" activeOptions={{ exact: true }}>
          {screens.restore}
        </Link>
      }
    >
      {snapshot ? <OfSnapshot id={snapshot} /> : <From />}
    </Page>
  );
}

function OfSnapshot({ id }: { id: string }) {
  const one = useQuery(snapshotQuery(id));
  const items = useQuery(snapshotItems(id));
  return (
    <Loading of={one}>
      {(snapshot) => (
        <Loading of={items}>{(rows) => <Chosen snapshot={snapshot} items={rows} />}</Loading>
      )}
    </Loading>
  );
}

/** What is chosen lives in the address: a reload, or a link that is sent, finds it as it was. */
function Chosen({ snapshot, items }: { snapshot: Snapshot; items: SnapshotItem[] }) {
  const { restore, snapshots, common } = useWords();
  const words = restore.new;
  const search = begin.useSearch();
  const isLost = useIsLost();
  const navigate = useNavigate({ from: begin.fullPath });
  const client = useQueryClient();
  const [isTried, setTried] = useState(false);
  const isPartial = snapshot.scope === "partial";
  const choices = choicesOf(items);
  const own = useOwn(choices, search.tenant);
  const what = whatOf(search, isPartial);
  const asked = { ...search, resources: search.resources ?? first(own, isPartial) };
  const names = expanded(asked.resources, own);
  const lack = lackOf(asked, what, names);
  const change = (over: Partial<Asked>) =>
    navigate({ search: (now) => ({ ...now, ...over }), replace: true });
  const plan = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/restores", { body: newRestore(asked, what, names) })),
    onSuccess: (made) => {
      client.setQueryData(planQuery(made.run.id).queryKey, made);
      client.invalidateQueries({ queryKey: ["restore", "list"] });
      const all = what === "all" ? true : undefined;
      navigate({ to: "/restore/$id", params: { id: made.run.id }, search: { all } });
    },
  });
  const submit = () => {
    setTried(true);
    if (!lack) plan.mutate();
  };
  return (
    <Form
      onSubmit={submit}
      error={plan.error}
      actions={
        <>
          <LinkButton to="/snapshots/$id" params={{ id: snapshot.id }}>
            {common.cancel}
          </LinkButton>
          <Button
            type="submit"
            kind="primary"
            isBusy={plan.isPending}
            because={isLost ? common.offline : undefined}
          >
            {words.plan}
          </Button>
        </>
      }
    >
      <Panel
        title={words.from}
        beside={
          <Link to="/restore/new" search={{ ...search, snapshot: undefined }}>
            {words.another}
          </Link>
        }
      >
        <Link to="/snapshots/$id" params={{ id: snapshot.id }}>
          {snapshot.name || snapshots.unnamed(snapshots.scopes[snapshot.scope])}
        </Link>
        , <When at={snapshot.time} />
      </Panel>
      <WhatPanel {...{ snapshot, choices, own, asked, what, change }} />
      {what === "all" && <Whole snapshot={snapshot.id} />}
      <WherePanel {...{ asked, what, names, change, isTried }} />
      {isTried && lack && <Notice is="failed" isNews title={words.lacks[lack]} />}
    </Form>
  );
}
